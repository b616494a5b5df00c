"""Axes that a pooling leaves alone are not pinned by it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

import graphmerge as gm
from tests.modules import ln

IDS = torch.tensor([[3, 1, 4, 1, 5, 2]])
Pool = Callable[[torch.Tensor], torch.Tensor]


class Pooled(nn.Module):
    """Hidden units between two projections, pooled together with the positions."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.embed, self.up, self.down, self.pool = nn.Embedding(7, 3), nn.Linear(3, 4), nn.Linear(4, 7), pool

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.down(self.pool(self.up(self.embed(ids))[:, None])[:, 0])  # (batch, 1, positions, units)


@pytest.mark.parametrize(
    ("pool", "free"),
    [
        (lambda x: functional.avg_pool2d(x, (2, 1)), True),
        (lambda x: functional.max_pool2d(x, (2, 1), (2, 1), ceil_mode=True), True),
        (lambda x: functional.max_pool2d(x, (2, 2), (2, 1), (1, 1))[..., :4], False),
        (lambda x: functional.avg_pool2d(x, (1, 3), (1, 1), (0, 1)), False),
    ],
)
def test_windows_of_one_unit_carry_the_axis(pool: Pool, free: bool) -> None:
    torch.manual_seed(0)
    model = Pooled(pool).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry.log_order() == pytest.approx(ln(3) + (ln(4) if free else 0))
    found = gm.certify(model, IDS, symmetry)
    assert found.sound
    assert found.complete or not free
