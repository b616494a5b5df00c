"""Correlations of the units of one group in two models, before and after one of them is permuted.

A file holds the matrix in hundredths, and where the units of B come from: the order in which to read its columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphmerge.checkpoint import load_model
from graphmerge.errors import InputError
from graphmerge.files import write_beside
from graphmerge.match import match
from graphmerge.recipe.plan import Plan
from graphmerge.recipe.stages import match_options
from graphmerge.stats import collect

STEPS = 100  # correlations are kept in hundredths


@dataclass(frozen=True, eq=False)
class Heat:
    """``before`` and ``after``: Pearson's r of units of A (rows) with units of B (columns)."""

    before: np.ndarray
    order: np.ndarray

    @property
    def after(self) -> np.ndarray:
        """The columns in the order that B's units are moved to."""
        return self.before[:, self.order]

    @classmethod
    def read(cls, path: Path) -> Heat:
        """What `write_heat` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["hundredths"].astype(np.float32) / STEPS, file["order"].astype(np.int64))


def write_heat(plan: Plan, group: str, path: Path) -> None:
    """Match the first two models of a plan and keep the correlations of one group's units over the calibration data.

    Raises:
        InputError: there is no such group, or it is over others, or no activation reads it.
    """
    if path.exists():
        return
    known = [g.name for g in plan.symmetry.groups if not g.over]
    if group not in known:
        raise InputError(f"a heat map needs a group that is over no others, not {group!r}: {', '.join(known)}")
    a, b = (load_model(weights.loaded.source).model for weights in plan.weights[:2])
    found = match(a, b, plan.symmetry, device=plan.recipe.device, **match_options(plan))
    statistics = collect(a, b, plan.symmetry, plan.batches["calibration"], [group], plan.recipe.device)
    size = plan.symmetry[group].size
    taps = [s for s in statistics.taps if s.tap.groups == {group} and s.tap.sizes == (size,)]
    if not taps:
        raise InputError(f"no activation reads {group} by itself")
    correlation = taps[0].moments.correlation().cpu().numpy()  # (units of A, units of B)
    with write_beside(path) as beside, beside.open("wb") as stream:
        np.savez_compressed(
            stream,
            hundredths=np.rint(correlation * STEPS).astype(np.int8),
            order=found.permutations.arrays[group].astype(np.int16),
        )
