"""Sound at odd sizes, complete at tiny ones, where the exact count tells."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.handwritten import attention, feedforward, mixing, rotary
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
]  # fmt: skip


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_sound(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    assert_sound(ODD.block(kind(ODD)), torch.tensor([[3, 1, 4, 1, 5]]))


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_complete(kind: type[nn.Module]) -> None:
    assert_complete(TINY.block(kind(TINY)), torch.tensor([[1, 2]]))
