"""What a rotary table leaves: found by its frequency pairs, and not where anything else reads it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.symmetry import Run
from tests.families import FAMILIES, traced
from tests.handwritten.rotary import Complex, Halves
from tests.handwritten.sizes import Sizes

ODD = Sizes(width=10, heads=3, dim=8, wide=7, vocabulary=13)
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
PAIRS = {  # family -> units, the base, and the tensors
    "Llama": (10, ("heads",), 2),
    "Mixtral": (10, ("heads",), 2),
    "Gemma": (10, (), 2),  # one key head
    "Falcon, multi-query": (10, (), 1),
    "GPT-NeoX": (4, ("heads",), 2),  # of ten dimensions, four are rotated
}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", PAIRS)
def test_families(family: str, attention: str) -> None:
    symmetry = traced(family, attention).symmetry()
    units, over, tensors = PAIRS[family]
    groups = [r.group for r in symmetry.rotary]
    assert [g.name for g in groups] == ["layers.0.rotary", "layers.1.rotary"]
    for layer, group in enumerate(groups):
        assert (group.kind, group.size) == ("rotary", units)
        assert group.over == tuple(f"layers.{layer}.{base}" for base in over)
        assert len({a.tensor for a in group.members}) == tensors
        assert group.name not in symmetry.by_name  # pinned for permutations, and not counted


@pytest.mark.parametrize("family", ["Qwen3", "BERT", "T5", "BLOOM", "Mamba"])
def test_none_without_a_table_or_with_a_gain_in_between(family: str) -> None:
    assert traced(family).symmetry().rotary == ()


@pytest.mark.parametrize("spelling", [Complex, Halves])
def test_both_spellings_hold_and_larger_maps_show(spelling: type[nn.Module]) -> None:
    model = ODD.block(spelling(ODD)).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    (rotary,) = symmetry.rotary
    assert rotary.group.size == ODD.dim
    found = gm.verify(model, symmetry, IDS, kinds=True)
    check = found.kinds[rotary.group.name]
    assert found.ok
    assert check.error <= 1e-12
    assert check.broken > 1e-3
    assert check.wider["orthogonal"] > 1e-3


@pytest.mark.parametrize(("spelling", "strides"), [(Complex, (2, 1)), (Halves, (1, ODD.dim // 2))])
def test_the_last_two_factors_are_the_pairs(spelling: type[nn.Module], strides: tuple[int, int]) -> None:
    (rotary,) = gm.trace(ODD.block(spelling(ODD)).eval(), IDS).symmetry().rotary
    for blocks in rotary.layout.values():
        for block in blocks:
            run = block.runs[0]
            assert isinstance(run, Run)
            assert (run.sizes[-2:], run.strides[-2:]) == ((ODD.dim // 2, 2), strides)


class Doubled(Halves):
    """Queries are also read by themselves."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, _, _ = self.split(x)
        return super().forward(x) + q.tanh().sum()


class Uneven(Halves):
    """Turned, then one unit of each pair is stretched."""

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        return super().turn(x) * (1.0 + torch.arange(x.shape[-1]))


class Slanted(Halves):
    """A table that scales each unit by its position: no rotation."""

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.outer(torch.arange(x.shape[-2]) + 1.0, torch.arange(x.shape[-1]) + 1.0).cos()


class Scaled(Halves):
    """Turned, with a learned gain after."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.gain = nn.Parameter(torch.randn(ODD.dim))

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        return super().turn(x) * self.gain


@pytest.mark.parametrize("other", [Doubled, Uneven, Slanted, Scaled])
def test_anything_else_is_left_out(other: type[nn.Module]) -> None:
    assert gm.trace(ODD.block(other(ODD)).eval(), IDS).symmetry().rotary == ()


def test_explain_says_which_table() -> None:
    text = traced("Llama").explain("layers.0.rotary")
    assert "pinned: constant" in text
    assert "q_proj" in text


def test_weights_are_not_needed() -> None:
    with torch.device("meta"):
        model = FAMILIES["GPT-NeoX"].model()
    model.gpt_neox.rotary_emb = FAMILIES["GPT-NeoX"].model().gpt_neox.rotary_emb  # the table has its values
    assert len(gm.trace(model).symmetry().rotary) == 2
