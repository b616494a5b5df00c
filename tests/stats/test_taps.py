"""Taps: inputs of the contractions that consume a group; outputs where none does."""

import numpy as np
import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.stats import Slot
from graphmerge.stats.taps import Tap, find_taps
from graphmerge.stats.watch import INPUT, Site
from graphmerge.symmetry import Block, Group, Move, Run, Symmetry
from tests.match.specs import MODELS, RESIDUAL, batches, gpt2
from tests.modules import variant


def taps_of(name: str, *groups: str) -> list[Tap]:
    model, symmetry = MODELS[name]()
    return find_taps(model, batches(1)[0], symmetry, groups or symmetry.by_name)


def sites(taps: list[Tap]) -> list[str]:
    return [str(tap.site) for tap in taps]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gpt2", "input of transformer.h.1.mlp.c_proj.weight"), ("llama", "input of model.layers.1.mlp.down_proj.weight")],
)
def test_a_group_is_read_where_it_is_consumed(name, expected):
    (tap,) = taps_of(name, "layers.1.ffn")
    assert str(tap.site) == expected
    assert tap.slots == (Slot("layers.1.ffn"),)


def test_heads_are_read_with_what_is_inside():
    (tap,) = taps_of("bert", "layers.0.v")
    assert str(tap.site) == "input of bert.encoder.layer.0.attention.output.dense.weight"
    assert tap.slots == (Slot("layers.0.heads"), Slot("layers.0.v", (0,)))
    (tap,) = taps_of("llama", "layers.0.v")
    assert [slot.group for slot in tap.slots] == ["layers.0.heads", "layers.0.query_heads", "layers.0.v"]
    assert tap.sizes == (3, 2, 4)


def test_queries_and_keys_are_read_where_they_are_written():
    assert sites(taps_of("bert", "layers.0.qk")) == [
        "output of bert.encoder.layer.0.attention.self.query.weight",
        "output of bert.encoder.layer.0.attention.self.key.weight",
    ]
    queries, keys = taps_of("gpt2", "layers.0.qk")
    assert queries.site == keys.site  # one fused projection
    assert [tap.dims[0][1][0] for tap in (queries, keys)] == [0, RESIDUAL]


def test_an_activation_that_is_consumed_several_times_is_one_tap():
    found = sites(taps_of("bert", "residual"))
    assert "input of bert.encoder.layer.0.attention.self.query.weight" in found
    assert "input of bert.encoder.layer.0.attention.self.key.weight" not in found
    # two a layer, the transform of the head, and the head (the embedding is tied to it)
    assert len(found) == 2 * 2 + 2


def test_features_are_the_units_in_the_order_of_the_slots():
    model, symmetry = gpt2()
    (tap,) = find_taps(model, batches(1)[0], symmetry, ["layers.0.v"])
    x = torch.randn(2, 5, RESIDUAL)
    assert torch.equal(tap.features(x.reshape(10, RESIDUAL)), x.reshape(10, RESIDUAL))
    counted = torch.tensor([True, False] * 5)
    assert torch.equal(
        tap.features(x.reshape(10, RESIDUAL), lambda units: units[counted]), x.reshape(10, RESIDUAL)[::2]
    )


def test_a_batched_contraction_is_read_with_the_base():
    model, example, _ = variant("stacked experts by einsum")
    symmetry = gm.trace(model, (example,)).symmetry()
    (ffn,) = [g.name for g in symmetry.groups if g.over]
    (down,) = [t for t in find_taps(model, (example,), symmetry, [ffn]) if t.site.key == "layers.0.down"]
    assert down.slots == (Slot(symmetry[ffn].over[0]), Slot(ffn, (0,)))
    hidden = torch.randn(5, 7, 6)  # (experts, tokens, units), as bmm reads it
    assert torch.equal(down.features(hidden), hidden.permute(1, 0, 2).reshape(7, 30))


def test_factors_that_nothing_moves_are_samples():
    site, positions = Site("weight", 0, INPUT), np.array([5, 0, 1, 2, 3, 4])
    heads = Tap(site, (Slot("heads"),), (2,), ((1, positions),), factors=(2, 3), order=(1, 0))
    x = torch.randn(4, 6)
    assert torch.equal(heads.features(x), x[:, positions].reshape(4, 2, 3).mT.reshape(12, 2))


class FirstRows(nn.Module):
    """Only the first two of four rows of its parameter are used."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight[:2])


def test_only_the_blocks_that_are_used_are_read():
    first, second = (
        Block((Run(start, (2,), (1,)), Run(0, (3,), (1,))), (Move(name, (1,)),))
        for start, name in ((0, "first"), (2, "second"))
    )
    groups = (Group("first", 3), Group("second", 3))
    symmetry = Symmetry(groups, (), {"weight": (first, second)}, {"weight": (4, 3)})
    (tap,) = find_taps(FirstRows(), (torch.randn(5, 3),), symmetry, ["first", "second"])
    assert tap.slots == (Slot("first"),)


def test_an_unused_symmetry_has_no_taps():
    model, _ = gpt2()
    assert find_taps(model, batches(1)[0], Symmetry((), (), {}, {}), []) == []
