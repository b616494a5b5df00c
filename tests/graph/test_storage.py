"""Parameters that share memory: one tensor under two names, transposes and slices of each other, other overlaps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

import graphmerge as gm
from graphmerge.verify import verify
from tests.modules import ln

IDS = torch.tensor([[3, 1, 4, 1, 5]])
Views = Callable[[torch.Tensor], torch.Tensor]


class Shared(nn.Module):
    """A feed-forward whose two matrices are views of one tensor (8, 6)."""

    def __init__(self, first: Views, second: Views) -> None:
        super().__init__()
        whole = torch.randn(8, 6)
        self.embed, self.head = nn.Embedding(13, 6), nn.Linear(6, 13)
        self.a, self.b = nn.Parameter(first(whole)), nn.Parameter(second(whole))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        b = self.b.mT if self.b.shape[0] == 6 else self.b.flatten(0, -2)  # (units, 6)
        return self.head(x + torch.tanh(linear(x, self.a)) @ b)


SHARED: dict[str, tuple[Views, Views, float]] = {  # and the order of what the hidden units may still do
    "the same entries": (lambda w: w, lambda w: w, ln(8)),
    "a transpose": (lambda w: w, lambda w: w.mT, ln(8)),
    "slices that overlap": (lambda w: w[:5], lambda w: w[3:], ln(2)),  # unit k is unit k + 3 too
    "slices that do not": (lambda w: w[:4], lambda w: w[4:], ln(4)),
    "every other row": (lambda w: w[::2], lambda w: w[1::2], ln(4)),
    "a view of other factors": (lambda w: w, lambda w: w.view(4, 2, 6), 0),  # pinned, the residual too
}


@pytest.mark.parametrize("name", SHARED)
def test_views(name: str) -> None:
    first, second, left = SHARED[name]
    model = Shared(first, second).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    pinned = any(p.reason == "a and b overlap in memory" for p in symmetry.pinned)
    assert pinned == (name == "a view of other factors")
    assert symmetry.log_order() == pytest.approx(0 if pinned else ln(6) + left)
    assert verify(model, symmetry, IDS).ok


@pytest.mark.parametrize("name", SHARED)
def test_a_moved_model_still_shares(name: str) -> None:
    """What one name of an entry says, the other says too: loading both leaves the function as it was."""
    model = Shared(*SHARED[name][:2]).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    before = model(IDS)
    state = {k: v.clone() for k, v in symmetry.random(seed=1).apply(dict(model.state_dict())).items()}
    model.load_state_dict(state)
    torch.testing.assert_close(model(IDS), before, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in state.items())


class Tied(nn.Module):
    """An embedding that is its own head, and its bias under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Embedding(13, 6), nn.Linear(6, 6), nn.Linear(6, 13)
        self.head.weight = self.embed.weight
        self.again = self.head.bias

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.mix(x).relu())


def test_every_name_of_a_tied_tensor_moves() -> None:
    symmetry = gm.trace(Tied().eval(), IDS).symmetry()
    members = {(a.tensor, a.axis) for a in symmetry["residual"].members}
    assert {("embed.weight", 1), ("head.weight", 1)} <= members
    moved = symmetry.random(seed=1).apply(dict(Tied().state_dict()))
    assert moved["embed.weight"].data_ptr() == moved["head.weight"].data_ptr()


def test_one_row_of_another_tensor() -> None:
    class Row(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(13, 6), nn.Linear(6, 13)
            self.row = nn.Parameter(self.embed.weight.detach()[2])
            self.embed.weight = nn.Parameter(self.row.detach().as_strided((13, 6), (6, 1), 0))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.embed(ids) * self.row)

    model = Row().eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry.log_order() == pytest.approx(ln(6))
    assert verify(model, symmetry, IDS).ok


def test_parameters_on_the_meta_device_share_nothing_by_chance() -> None:
    model = Shared(lambda w: w[:4].clone(), lambda w: w[4:].clone()).to("meta")
    assert gm.trace(model, IDS).symmetry().log_order() == pytest.approx(ln(6) + ln(4))
