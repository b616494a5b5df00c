"""Why axes are tied and why one is pinned, as text."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from tests.families import traced


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.up, self.down, self.head = (
            nn.Embedding(13, 6),
            nn.Linear(6, 5),
            nn.Linear(5, 6),
            nn.Linear(6, 13),
        )
        self.register_buffer("slope", torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(self.up(x) * self.slope))


@pytest.fixture(scope="module")
def small() -> gm.ConstraintGraph:
    return gm.trace(Small(), torch.tensor([[1, 2, 3]]))


def test_a_group_is_explained_step_by_step(small: gm.ConstraintGraph) -> None:
    lines = small.explain("residual").splitlines()
    assert lines[0] == "residual: 6 units; free, tied on 5 axes"
    text = "\n".join(lines)
    for tensor in ("embed.weight[1]", "up.weight[1]", "down.weight[0]", "down.bias[0]", "head.weight[1]"):
        assert tensor in text
    assert "embedding[2] <- aten.embedding.default (v! d, .1 .0 -> .1 .0 d) in embed, " in text
    assert "up.weight[1] <- aten.linear.default (.1 .0 i, o i, o -> .1 .0 o) in up, " in text
    steps = [line for line in lines if "<-" in line]
    assert len(steps) == len(set(steps))  # each step is told once


def test_a_pinned_axis_says_why_and_by_which_ops(small: gm.ConstraintGraph) -> None:
    lines = small.explain("up.weight[0]").splitlines()
    assert lines[0] == "unnamed: 5 units, pinned: constant slope varies along it"
    assert lines[-1].startswith("    slope[0] <- aten.mul.Tensor (x0 x1 x2, x2 -> x0 x1 x2) in test_explain.py:")
    assert "linear" in lines[2]


def test_a_look_up_and_an_output(small: gm.ConstraintGraph) -> None:
    assert "pinned: look-up by aten.embedding.default" in small.explain("embed.weight[0]")
    assert "pinned: output output" in small.explain("head.weight[0]")


def test_a_tensor_explains_all_its_axes(small: gm.ConstraintGraph) -> None:
    whole = small.explain("up.weight")
    assert whole == small.explain("up.weight[0]") + "\n\n" + small.explain("up.weight[1]")
    assert small.explain("up.weight[2]") == "up.weight[2] has no units that could move"


@pytest.mark.parametrize("name", ["layers.0.ffn", "up.weigth", "residual[0]"])
def test_an_unknown_name_lists_the_groups(small: gm.ConstraintGraph, name: str) -> None:
    with pytest.raises(gm.InputError, match=r"nothing is called '.*'; groups are residual"):
        small.explain(name)


def test_over_and_named_pins() -> None:
    bloom = traced("BLOOM")
    assert bloom.explain("layers.0.qk").startswith("layers.0.qk: 7 units over layers.0.heads; free, tied on 4 axes")
    pinned = bloom.explain("layers.0.heads").splitlines()
    assert pinned[0].startswith("layers.0.heads: 3 units, pinned: constant to (transformer modeling_bloom.py:")
    assert "aten.baddbmm" in pinned[-1]


def test_every_group_of_every_kind_can_be_explained() -> None:
    for family in ("T5", "Mamba", "Mixtral"):
        graph = traced(family)
        for group in graph.symmetry().groups:
            assert graph.explain(group.name).startswith(f"{group.name}: {group.size} units")
