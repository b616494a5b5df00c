"""Models of two numbers whose curves are known in closed form, and a sweep of them that can be killed.

The loss ``(u² + v² - 1)²`` is 0 on the unit circle, where all three models lie, and does not change if u and v swap.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from torch import nn

import graphmerge as gm
from graphmerge.symmetry import Block, Group, Move, Permutations, Run, Symmetry

RINGS = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (0.0, -1.0)}
DATA = [(torch.ones(2),), (torch.ones(1),)]
BLOCK = Block((Run(0, (2,), (1,)),), (Move("units", (0,)),))
SYMMETRY = Symmetry((Group("units", 2),), (), {"w": (BLOCK,)}, {"w": (2,)}, model="Ring")
WEIGHTS = {"method": "weights"}
CALLS: list[int] = []


class Ring(nn.Module):
    """The loss, times each number of the batch."""

    def __init__(self, *w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.w.square().sum() - 1) ** 2 * x.double()


def loss(model: nn.Module, batch: tuple[torch.Tensor]) -> tuple[torch.Tensor, int]:
    """Sum and count over a batch; the process dies at the call that KILL_AT says, as by kill -9."""
    CALLS.append(1)
    if len(CALLS) == int(os.environ.get("KILL_AT", "0")):
        os.kill(os.getpid(), signal.SIGKILL)
    return model(batch[0]).sum(), len(batch[0])


def swapped(a: object, b: object) -> Permutations:
    """A matching that always swaps."""
    return Permutations(SYMMETRY, {"units": torch.tensor([1, 0]).numpy()})


def sweep(out: str | Path | None = None, **options: Any) -> gm.Sweep:
    """Three pairs, two matchings beside the vanilla curve, five points: nine curves of ten calls of the loss."""
    given = {"matchings": {"weights": WEIGHTS, "swapped": swapped}, "symmetry": SYMMETRY, "loss": loss, "points": 5}
    rings = {name: Ring(*w) for name, w in RINGS.items()}
    return gm.sweep(options.pop("models", rings), options.pop("data", DATA), out=out, **given | options)
