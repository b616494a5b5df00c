"""Axes that fall into too many parts: left whole and pinned, without harm to what lies beside them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import graphmerge as gm

POSITIONS = 40  # a loop over them cuts both axes of a matrix of positions: 1,600 boxes


class RowByRow(nn.Module):
    """What happens along positions is written into a matrix row by row, as chunked linear attention does."""

    def __init__(self, positions: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False)
        self.positions = positions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.up(x)  # (batch, positions, 4)
        scores = h @ h.mT
        for row in range(1, self.positions):
            scores[:, row, :row] = scores[:, row, :row] + scores[:, row, :row] @ scores[:, :row, :row]
        return self.down((scores @ h).tanh())


@pytest.mark.parametrize("positions", [4, POSITIONS])
def test_what_lies_beside_stays_free(positions: int) -> None:
    """Few positions are solved part by part, many are left whole: the hidden units are free in both."""
    model, inputs = RowByRow(positions).eval(), (torch.randn(1, positions, 3),)
    symmetry = gm.trace(model, inputs).symmetry()
    assert symmetry.log_order() == pytest.approx(math.lgamma(5))
    assert gm.verify(model, symmetry, inputs).ok


def test_the_axis_itself_is_pinned() -> None:
    """A table of one row for each position moves in no way, though its columns do."""

    class Placed(RowByRow):
        def __init__(self) -> None:
            super().__init__(POSITIONS)
            self.table = nn.Parameter(torch.randn(POSITIONS, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.up(x) + self.table
            scores = h @ h.mT
            for row in range(1, self.positions):
                scores[:, row, :row] = scores[:, row, :row] * scores[:, :row, :row].sum(-1)
            return self.down(scores @ h)

    model, inputs = Placed().eval(), (torch.randn(1, POSITIONS, 3),)
    symmetry = gm.trace(model, inputs).symmetry()
    moved = {(a.tensor, a.axis) for g in symmetry.groups for a in g.members}
    assert moved == {("up.weight", 0), ("table", 1), ("down.weight", 1)}
    assert gm.verify(model, symmetry, inputs).ok
