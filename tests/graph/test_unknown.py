"""Ops that no rule describes: inferred from running them, or pinned; both are said."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

import graphmerge as gm
from tests.families import FAMILIES
from tests.modules import ln
from tests.rules.opaque import opaque

IDS = torch.tensor([[3, 1, 4, 1, 5]])
Op = Callable[[torch.Tensor], torch.Tensor]


class Strange(nn.Module):
    """A feed-forward of 5 units around some op, on a residual of 6."""

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.embed, self.up, self.down = nn.Embedding(13, 6), nn.Linear(6, 5), nn.Linear(5, 6)
        self.head = nn.Linear(6, 13)
        self.op = op

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(self.op(self.up(x))))


def single_only(x: torch.Tensor) -> torch.Tensor:
    if x.dtype != torch.float32:
        raise TypeError("single precision only")
    return x * 2


def named(name: str, function: Op) -> Op:
    full = opaque(name, "(Tensor x) -> Tensor", function)
    return getattr(torch.ops.graphmerge_opaque, full.split(".")[1])


def test_an_op_that_can_be_run_is_inferred_and_said() -> None:
    model = Strange(torch.special.bessel_j0).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = gm.trace(model, IDS)
    assert graph.unknown == ()
    (found,) = graph.probed
    assert (found.op, found.module, found.equation) == ("aten.special_bessel_j0.default", "", "1 x0 x1 -> 1 x0 x1")
    assert found.source.startswith("test_unknown.py:")
    (note,) = graph.symmetry().notes
    assert note.startswith("unknown op aten.special_bessel_j0.default; running it gave 1 x0 x1 -> 1 x0 x1, at test_unk")
    assert graph.symmetry().log_order() == pytest.approx(ln(6) + ln(5))
    assert {group.kind for group in graph.symmetry().groups} <= {"permutation", "orthogonal", "invertible"}
    assert gm.verify(model, graph.symmetry(), IDS).ok


def test_a_norm_that_nobody_knows_keeps_the_residual_together() -> None:
    """Its virtual term says that positions and units do not mix freely; the gain moves with the residual."""

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(5))
            self.norm = named("norm", lambda x: x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x) * self.gain

    model = Strange(Normed()).eval()
    graph = gm.trace(model, IDS)
    assert [p.equation for p in graph.probed] == ["1 x0 x1 -> 1 x0 x1 | x0"]
    assert graph.symmetry().log_order() == pytest.approx(ln(6) + ln(5))
    assert gm.verify(model, graph.symmetry(), IDS).ok


def test_an_op_that_mixes_pins() -> None:
    model = Strange(named("mirror", lambda x: x + x.flip(-1))).eval()
    graph = gm.trace(model, IDS)
    assert [p.equation for p in graph.probed] == ["1 x0 q0! -> 1 x0 q1!"]
    assert graph.symmetry().log_order() == pytest.approx(ln(6))
    assert any("mirror.default are not alike (found by running it)" in p.reason for p in graph.symmetry().pinned)


def test_an_op_that_cannot_be_run_warns_and_pins() -> None:
    model = Strange(named("single_only", single_only)).eval()
    message = (
        r"unknown op graphmerge_opaque\.single_only\.default, and running it does not tell: it cannot be run on drawn "
        r"arguments \(TypeError: single precision only\), at test_unknown\.py:\d+.*; pinned"
    )
    with pytest.warns(UserWarning, match=message):
        graph = gm.trace(model, IDS)
    assert graph.probed == ()
    assert [u.op for u in graph.unknown] == ["graphmerge_opaque.single_only.default"]
    symmetry = graph.symmetry()
    assert any("single_only" in note for note in symmetry.notes)
    assert symmetry.log_order() == pytest.approx(ln(6))  # the residual is untouched by it
    assert any("single_only" in p.reason for p in symmetry.pinned)


def test_one_op_that_many_layers_call_is_noted_once() -> None:
    twice = nn.Sequential(Strange(torch.special.bessel_j0).up, nn.Linear(5, 5)).eval()

    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = twice

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = torch.special.bessel_j0(layer(x))
            return x

    graph = gm.trace(Deep(), (torch.ones(1, 3, 6),))
    assert len(graph.probed) == 2
    assert len(graph.notes) == 1


def test_strict_accepts_nothing_inferred() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            gm.UnknownOp, match=r"special_bessel_j0.*register a rule for it, or trace with strict=False"
        ):
            gm.trace(Strange(torch.special.bessel_j0), IDS, strict=True)
        gm.trace(FAMILIES["ViT"].model(), strict=True)
