"""Example inputs: every form a user may give, other lengths, and defaults from class and config."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from torch import nn

import graphmerge as gm
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs, lengths
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


def llava(**sizes: int) -> torch.nn.Module:
    vision = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 5,
              "image_size": 12, "patch_size": 4}  # fmt: skip
    text = {"vocab_size": 29, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "intermediate_size": 5, "max_position_embeddings": 40}  # fmt: skip
    config = hf.LlavaConfig(vision_config=hf.CLIPVisionConfig(**vision | sizes), text_config=hf.LlamaConfig(**text),
                            image_token_index=7)  # fmt: skip
    return hf.LlavaForConditionalGeneration(config).eval()


@pytest.mark.parametrize(("side", "patches"), [(12, 9), (8, 4)])
def test_a_picture_stands_for_as_many_tokens_as_it_has_features(side: int, patches: int) -> None:
    model = llava(image_size=side)
    inputs = default_inputs(model)
    ids = inputs.tensors["input_ids"]
    assert int((ids == 7).sum()) == patches
    assert ids.shape == (1, 11 + patches)
    changed = inputs.with_tensors({"pixel_values": 1 - inputs.tensors["pixel_values"]})
    with torch.no_grad():
        before, after = (model(**x.kwargs).logits for x in (inputs, changed))
    assert not torch.allclose(before, after)  # the picture is really read


def test_patches_come_with_their_grid() -> None:
    vision = {"embed_dim": 8, "hidden_size": 8, "depth": 1, "num_heads": 2, "patch_size": 4}
    text = {"vocab_size": 29, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "intermediate_size": 5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 0]}}  # fmt: skip
    config = hf.Qwen2VLConfig(vision_config=vision, text_config=text, image_token_id=5, video_token_id=6,
                              vision_start_token_id=1, vision_end_token_id=2)  # fmt: skip
    model = hf.Qwen2VLModel(config).eval()
    tensors = default_inputs(model).tensors
    assert tensors["image_grid_thw"].tolist() == [[1, 4, 4]]
    assert tensors["pixel_values"].shape == (16, 3 * 2 * 4 * 4)
    assert torch.equal(tensors["mm_token_type_ids"] == 1, tensors["input_ids"] == 5)
    assert int((tensors["input_ids"] == 5).sum()) == 4


def test_special_tokens_are_left_out_but_for_the_last() -> None:
    config = hf.BartConfig(vocab_size=20, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                           decoder_attention_heads=2, encoder_ffn_dim=5, decoder_ffn_dim=5)  # fmt: skip
    ids = default_inputs(hf.BartForSequenceClassification(config)).tensors["input_ids"][0].tolist()
    assert ids[-1] == config.eos_token_id
    assert not {0, 1, 2} & set(ids[:-1])
    assert len(set(ids)) == len(ids)


def test_a_text_for_each_choice() -> None:
    config = hf.BertConfig(vocab_size=29, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                           intermediate_size=5)  # fmt: skip
    assert default_inputs(hf.BertForMultipleChoice(config)).tensors["input_ids"].shape == (1, 2, 11)
    assert default_inputs(hf.BertForSequenceClassification(config)).tensors["input_ids"].shape == (1, 11)


def test_a_waveform_gives_a_few_steps() -> None:
    config = hf.Wav2Vec2Config(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=5,
                               conv_dim=[4, 4], conv_kernel=[10, 3], conv_stride=[5, 2], num_feat_extract_layers=2,
                               num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2)  # fmt: skip
    model = hf.Wav2Vec2Model(config).eval()
    assert model(**default_inputs(model).kwargs).last_hidden_state.shape == (1, 3, 8)


def test_a_picture_goes_with_a_text_where_nothing_is_known_to_go_with_a_sound() -> None:
    class Sees(nn.Module):
        main_input_name = "input_ids"

        def __init__(self) -> None:
            super().__init__()
            self.config = hf.LlavaConfig(
                text_config={"model_type": "llama", "vocab_size": 24}, image_token_id=5, vision_config={"image_size": 8}
            )
            self.embed = nn.Embedding(24, 3)

        def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
            return pixel_values.flatten(2).transpose(1, 2)[:, :4]

        def get_audio_features(self, input_features: torch.Tensor) -> torch.Tensor:
            raise ValueError("this model has no part for sound")

        def forward(
            self,
            input_ids: torch.Tensor,
            pixel_values: torch.Tensor | None = None,
            input_features: torch.Tensor | None = None,
        ) -> torch.Tensor:
            if input_features is not None:
                raise ValueError("this model has no part for sound")
            assert pixel_values is not None
            assert int((input_ids == 5).sum()) == 4
            return self.embed(input_ids)

    assert set(default_inputs(Sees()).tensors) == {"input_ids", "pixel_values"}
