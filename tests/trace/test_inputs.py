"""Example inputs: every form a user may give, other lengths, and defaults from class and config."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from torch import nn

import graphmerge as gm
from graphmerge.trace.inputs import Inputs, default_inputs, lengths
from tests.families import FAMILIES

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Takes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 6), nn.Linear(6, 7)

    def forward(self, ids: torch.Tensor, shift: torch.Tensor | None = None) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x if shift is None else x + shift)


@pytest.mark.parametrize("example", [IDS, (IDS,), [IDS], {"ids": IDS}], ids=["tensor", "tuple", "list", "dict"])
def test_forms(example: object) -> None:
    symmetry = gm.trace(Takes(), example).symmetry()
    assert [(g.name, g.size) for g in symmetry.groups] == [("embed", 6)]


def test_more_than_one_tensor_and_none_among_them() -> None:
    model = Takes()
    both = gm.trace(model, (IDS, torch.zeros(6))).symmetry()
    assert both.groups == ()  # a shift along the units pins them
    assert gm.trace(model, {"ids": IDS, "shift": None}).symmetry().log_order() > 0


@pytest.mark.parametrize(
    ("example", "text"), [("ids", "a dict, a tuple or a tensor, not a str"), ({"n": 3}, "hold no tensor")]
)
def test_what_is_no_input(example: object, text: str) -> None:
    with pytest.raises(gm.TraceError, match=text):
        gm.trace(Takes(), example)


def test_a_model_that_says_nothing_needs_inputs() -> None:
    with pytest.raises(gm.TraceError, match="Takes does not say what its inputs are; give example_inputs"):
        gm.trace(Takes())


def test_nested_inputs_keep_their_places() -> None:
    inputs = Inputs.of({"batch": [IDS, {"mask": torch.ones(1, 5)}], "flag": True})
    assert list(inputs.tensors) == ["batch.0", "batch.1.mask"]
    other = inputs.with_tensors({"batch.1.mask": torch.zeros(1, 5)})
    assert other.kwargs["flag"] is True
    assert other.kwargs["batch"][0] is IDS
    assert not other.kwargs["batch"][1]["mask"].any()


SHAPES = {  # a tensor beside ids of length 5 (a decoder's: 4), and its shape at length 7
    "mask": (torch.ones(1, 5), (1, 7)),
    "decoder ids": (torch.ones(1, 4, dtype=torch.long), (1, 7)),
    "embeddings": (torch.ones(1, 5, 6), (1, 7, 6)),
    "mask over pairs": (torch.ones(1, 1, 5, 5), (1, 1, 7, 7)),
    "mask over positions": (torch.ones(1, 1, 1, 5), (1, 1, 1, 7)),
    "pictures": (torch.ones(1, 5, 8, 8), (1, 5, 8, 8)),
    "label": (torch.ones(1, dtype=torch.long), (1,)),
    "scalars": (torch.ones(1, 1), (1, 1)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_other_lengths(name: str) -> None:
    tensor, expected = SHAPES[name]
    resized = Inputs.of({"ids": IDS, "other": tensor}).resized(7)
    assert resized.tensors["ids"].tolist() == [[3, 1, 4, 1, 5, 3, 1]]
    assert resized.tensors["other"].shape == expected


def test_one_position_is_a_sequence_too() -> None:
    assert Inputs.of(IDS[:, :1]).resized(4).tensors["0"].tolist() == [[3, 3, 3, 3]]
    assert Inputs.of(torch.ones(1, 1, 6)).resized(4).tensors["0"].shape == (1, 4, 6)
    assert Inputs.of(torch.ones(1, 3, 8, 8)).length is None


def test_lengths_avoid_the_sizes_of_the_model_and_its_limit() -> None:
    config = hf.BertConfig(vocab_size=29, hidden_size=22, num_attention_heads=2, num_hidden_layers=1,
                           intermediate_size=7, max_position_embeddings=11)  # fmt: skip
    order = list(lengths(hf.BertForMaskedLM(config), Inputs.of(IDS)))
    assert order[:2] == [5, 3]  # 13 is too long; 11 and 7 are axes of the model
    assert set(order[2:]) == {11, 7, 2}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BERT", {"input_ids": (1, 11)}),
        ("T5", {"input_ids": (1, 11), "decoder_input_ids": (1, 11)}),
        ("ViT", {"pixel_values": (1, 3, 8, 8)}),
    ],
)
def test_defaults(name: str, expected: dict[str, tuple[int, ...]]) -> None:
    found = default_inputs(FAMILIES[name].model())
    assert {n: tuple(t.shape) for n, t in found.tensors.items()} == expected


def test_defaults_of_speech_and_of_two_towers() -> None:
    with torch.device("meta"):
        speech = hf.WhisperForConditionalGeneration(
            hf.WhisperConfig(vocab_size=29, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                             decoder_attention_heads=2, encoder_ffn_dim=5, decoder_ffn_dim=5, max_source_positions=20,
                             max_target_positions=17, num_mel_bins=6, pad_token_id=0, decoder_start_token_id=1)
        )  # fmt: skip
        both = hf.CLIPModel(
            hf.CLIPConfig(
                text_config={"vocab_size": 29, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                             "intermediate_size": 5, "max_position_embeddings": 17, "eos_token_id": 2},
                vision_config={"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                               "intermediate_size": 5, "image_size": 8, "patch_size": 4},
            )
        )  # fmt: skip
    shapes = {n: tuple(t.shape) for n, t in default_inputs(speech).tensors.items()}
    assert shapes == {"input_features": (1, 6, 40), "decoder_input_ids": (1, 11)}
    assert set(default_inputs(both).tensors) == {"input_ids", "pixel_values"}
