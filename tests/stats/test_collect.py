"""Two models in step: the moments of hooks by hand, masks, and samples that do not belong together."""

import pytest
import torch
from torch import nn

from graphmerge.errors import InputError
from graphmerge.stats import Moments, collect
from graphmerge.stats.positions import counted
from graphmerge.symmetry import Block, Group, Move, Run, Symmetry
from tests.match.specs import MODELS, batches, gpt2


def hooked(model: nn.Module, module: str, data) -> torch.Tensor:
    """All inputs of a module over the data: (samples, units)."""
    found = []
    handle = model.get_submodule(module).register_forward_pre_hook(lambda _, args: found.append(args[0].detach()))
    with torch.no_grad():
        for batch in data:
            model(**batch)
    handle.remove()
    return torch.cat([x.reshape(-1, x.shape[-1]) for x in found])


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("gpt2", "transformer.h.1.mlp.c_proj"),
        ("bert", "bert.encoder.layer.1.output.dense"),
        ("llama", "model.layers.1.mlp.down_proj"),
    ],
)
def test_the_moments_are_those_of_hooks(name, module):
    (a, symmetry), b = MODELS[name](), MODELS[name]()[0]
    for parameter in b.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    data = batches(3)
    (found,) = collect(a, b, symmetry, data, ["layers.1.ffn"]).taps
    expected = Moments.of(hooked(a, module, data), hooked(b, module, data))
    assert found.moments.count == expected.count == 3 * 8 * 12
    assert torch.allclose(found.moments.correlation(), expected.correlation(), atol=1e-5)


def test_padded_positions_are_left_out():
    a, symmetry = gpt2()
    mask = torch.ones(8, 12, dtype=torch.long)
    mask[3:, 5:] = 0
    data = [{"input_ids": b["input_ids"], "attention_mask": mask} for b in batches(2)]
    (found,) = collect(a, a, symmetry, data, ["layers.0.ffn"]).taps
    keep = mask.bool().reshape(-1).repeat(2)
    units = hooked(a, "transformer.h.0.mlp.c_proj", data)[keep]
    assert found.moments.count == len(units)
    assert torch.allclose(found.moments.mean_a, units.double().mean(0), atol=1e-5)


def test_labels_of_minus_100_count():
    """Of a masked language model's positions most have no label; all have units."""
    a, symmetry = MODELS["bert"]()
    data = [{**b, "labels": torch.full_like(b["labels"], -100)} for b in batches(1)]
    data[0]["labels"][0, 0] = 1
    (found,) = collect(a, a, symmetry, data, ["layers.0.ffn"]).taps
    assert found.moments.count == 8 * 12


def test_which_samples_count():
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    flat = [True, True, False, True, False, False]
    batch = {"attention_mask": mask}
    for samples in ((6,), (2, 3)):
        keep = counted(samples, batch)
        assert keep is not None
        assert keep.tolist() == flat
    first = counted((3, 2), batch)  # sequence first
    assert first is not None
    assert first.tolist() == [True, True, True, False, False, False]
    several = counted((2, 3, 2), batch)
    assert several is not None
    assert several.tolist() == [k for k in flat for _ in range(2)]
    assert counted((4, 3), batch) is None
    decoder = counted((1, 2), batch | {"decoder_attention_mask": torch.tensor([[1, 0]])})
    assert decoder is not None
    assert decoder.tolist() == [True, False]
    assert counted((6,), {}) is counted((6,), (mask,)) is None
    both = counted((2, 3), batch | {"decoder_attention_mask": torch.tensor([[1, 0, 0], [1, 1, 1]])})
    assert both is not None
    assert both.tolist() == [True, False, False, True, False, False]


def test_next_tokens_without_a_label_do_not_count_and_unmasked_tokens_do():
    a, symmetry = gpt2()
    (batch,) = batches(1)
    labels = batch["input_ids"].clone()
    labels[:, :5] = -100
    for ids, expected in ((batch["input_ids"], 8 * 7), ((batch["input_ids"] + 1) % 29, 8 * 12)):
        (found,) = collect(a, a, symmetry, [{"input_ids": ids, "labels": labels}], ["layers.0.ffn"]).taps
        assert found.moments.count == expected


class Routed(nn.Module):
    """Sends the tokens with a positive score through a layer."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sign = sign
        self.embed, self.up, self.down = nn.Embedding(7, 4), nn.Linear(4, 6), nn.Linear(6, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        sent = x[..., 0] * self.sign > 0
        y = torch.zeros_like(x)
        y[sent] = self.down(self.up(x[sent]).tanh())
        return y


def test_samples_that_do_not_belong_together_are_dropped():
    ffn = Block((Run(0, (4,), (1,)), Run(0, (6,), (1,))), (Move("ffn", (1,)),))
    symmetry = Symmetry((Group("ffn", 6),), (), {"down.weight": (ffn,)}, {"down.weight": (4, 6)})
    data = [(torch.tensor([[0, 1, 2, 3, 4, 5, 6]]),)]
    assert len(collect(Routed(1), Routed(1), symmetry, data).taps) == 1
    apart = collect(Routed(1), Routed(-1), symmetry, data)
    assert apart.taps == ()
    assert apart.notes == (
        "tap dropped, its samples do not belong together: input of down.weight",
        "no tap reads ffn",
    )


def test_a_mask_of_zeros_is_refused():
    a, symmetry = gpt2()
    data = [{"input_ids": b["input_ids"], "attention_mask": torch.zeros(8, 12)} for b in batches(1)]
    with pytest.raises(InputError, match="no position of the data counts: masks are 0 or labels -100 everywhere"):
        collect(a, a, symmetry, data)


def test_progress():
    a, symmetry = gpt2()
    seen = []
    collect(a, a, symmetry, batches(2), ["layers.0.ffn"], progress=lambda *step: seen.append(step))
    assert seen == [(1, 2), (2, 2)]
