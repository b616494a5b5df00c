"""Sound at odd sizes, complete at tiny ones, where the exact count tells."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from tests.handwritten import attention, experts, feedforward, mixing, rotary
from tests.handwritten.sizes import ODD, TINY
from tests.proof import assert_complete, assert_sound

MODELS: list[type[nn.Module]] = [
    attention.CausalFused, attention.Rearranged, attention.RearrangedAtOnce, attention.Unflattened,
    attention.HeadMatrices, attention.Separate, attention.MultiQuery, attention.GroupedRepeated,
    attention.GroupedByEinops, attention.NormedQueries, attention.RelativeTable, attention.Alibi, attention.Gated,
    attention.Prefix, attention.MaskedPrefix, attention.Differential,
    rotary.Interleaved, rotary.Complex, rotary.Halves, rotary.Partial,
    mixing.LinearAttention, mixing.CausalLinearAttention, mixing.Retention, mixing.Latents, mixing.Registers,
    mixing.ConformerConvolution, mixing.TimeShift, mixing.Recurrence, mixing.StateSpace,
    feedforward.Mlp, feedforward.SwiGlu, feedforward.InterleavedGate, feedforward.ParallelBlock, feedforward.Adapter,
    feedforward.WithLoRA, feedforward.MergedLoRA, feedforward.Scaled, feedforward.HyperScale, feedforward.AdaptiveNorm,
    feedforward.LayerScale, feedforward.RmsNormed, feedforward.Shared, feedforward.SpatialGate,
    feedforward.Codebook,
    experts.ScatteredShares, experts.OneHotShares, experts.ComparedShares, experts.GatheredResults,
    experts.GatheredWeights, experts.Biased, experts.Switch, experts.MaskedTop, experts.Grouped, experts.SoftSlots,
    experts.LoopedModules,
]  # fmt: skip


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_sound(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    assert_sound(ODD.block(kind(ODD)), torch.tensor([[3, 1, 4, 1, 5]]))


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_complete(kind: type[nn.Module]) -> None:
    assert_complete(TINY.block(kind(TINY)), torch.tensor([[1, 2]]))


def groups(kind: type[nn.Module]) -> dict[str, tuple[int, tuple[str, ...]]]:
    found = gm.trace(ODD.block(kind(ODD)).eval(), torch.tensor([[3, 1, 4, 1, 5]])).symmetry().groups
    return {g.name: (g.size, g.over) for g in found}


def test_experts_are_tied_to_the_rows_of_their_router() -> None:
    graph = gm.trace(ODD.block(experts.ScatteredShares(ODD)).eval(), torch.tensor([[3, 1, 4, 1, 5]]))
    (group,) = [g for g in graph.symmetry().groups if g.size == experts.EXPERTS]
    axes = {(a.tensor, a.axis) for a in group.members}
    assert axes == {("layers.0.router.weight", 0), ("layers.0.up", 0), ("layers.0.down", 0)}


def test_experts_that_are_modules_keep_their_places() -> None:
    """Swapping them would swap whole tensors; their hidden units are free all the same."""
    found = groups(experts.LoopedModules)
    assert sorted(size for size, _ in found.values()) == sorted([ODD.width, *[ODD.wide] * experts.EXPERTS])


def test_learned_keys_beside_the_tokens_have_an_order_in_every_head() -> None:
    assert (3, ("layers.0.heads",)) in groups(attention.MaskedPrefix).values()
