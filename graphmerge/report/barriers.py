"""The barriers of several ways of matching, side by side."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from graphmerge.errors import InputError
from graphmerge.evaluate import Curve
from graphmerge.report import numbers
from graphmerge.report.render import table
from graphmerge.sweep import Sweep

VANILLA = "vanilla"
UNSOUND = " (not function-preserving)"


@dataclass(frozen=True)
class BarrierRow:
    """One way of matching: its barrier, the share of the vanilla barrier that it removes, the seconds it took."""

    method: str
    barrier: float
    removed: float | None = None
    seconds: float | None = None
    unit: str = "loss"


def barrier_rows(curves: Mapping[str, Curve], seconds: Mapping[str, float] | None = None) -> tuple[BarrierRow, ...]:
    """A row without permutations, then one for each method in the order given.

    Raises:
        InputError: the curves' barriers without permutations differ, so they compare other models or other data.
    """
    found = {name: c.vanilla_barrier for name, c in curves.items() if c.vanilla_barrier is not None}
    rows = []
    if found:
        first, whole = next(iter(found.items()))
        for name, value in found.items():
            if not math.isclose(value, whole, rel_tol=1e-3, abs_tol=1e-6):
                raise InputError(
                    f"without permutations, {first} starts from a barrier of {numbers.loss(whole)} and {name} from "
                    f"{numbers.loss(value)}; compare methods on the same models and data"
                )
        rows.append(BarrierRow(VANILLA, whole, unit=next(iter(curves.values())).unit))
    rows += [
        BarrierRow(
            name + (UNSOUND if curve.unsound else ""),
            curve.barrier,
            curve.removed,
            (seconds or {}).get(name),
            curve.unit,
        )
        for name, curve in curves.items()
        if name != VANILLA
    ]
    return tuple(rows)


def barrier_table(rows: tuple[BarrierRow, ...], title: str = "Barriers") -> Table:
    """Method, barrier, share removed, and the time of matching where any is known."""
    unit = rows[0].unit if rows else "loss"
    columns = ["method", f"barrier ({unit})" if unit != "loss" else "barrier", "removed"]
    cells = [[row.method, numbers.loss(row.barrier), numbers.share(row.removed)] for row in rows]
    if any(row.seconds is not None for row in rows):
        columns.append("time")
        cells = [[*line, numbers.seconds(row.seconds)] for line, row in zip(cells, rows)]
    return table(title, columns, cells, numbers=columns[1:])


def metric_table(curve: Curve) -> Table:
    """Every metric at A, at B and halfway, and how much worse than the chord it is at worst."""
    columns = ["metric", "A", "B", "halfway", "halfway, vanilla", "barrier", "vanilla barrier"]
    cells = []
    for name in curve.metrics:
        found = curve.of(name)
        beside = None if found.vanilla is None else dataclasses.replace(found, losses=found.vanilla, unsound=())
        values = [found.losses[0], found.losses[-1], found.midpoint, beside and beside.midpoint]
        cells.append([name, *map(numbers.loss, [*values, found.barrier, found.vanilla_barrier])])
    return table("Metrics", columns, cells, numbers=columns[1:])


def sweep_table(sweep: Sweep, title: str = "Barriers, mean over pairs ± standard error") -> Table:
    """Every matching: pairs, mean barrier and its standard error over pairs, share of the vanilla barrier removed."""
    unit = next(iter(sweep.curves.values())).curves[0].label if sweep.curves else "loss"
    columns = ["matching", "pairs", f"barrier, {unit}", "removed"]
    cells = []
    for name, curves in sweep.curves.items():
        error = "" if curves.barrier_error is None else f" ± {numbers.loss(curves.barrier_error)}"
        removed = numbers.MISSING if name == VANILLA else numbers.share(curves.removed)
        cells.append([name, numbers.count(len(curves.pairs)), numbers.loss(curves.barrier) + error, removed])
    return table(title, columns, cells, numbers=columns[1:])


def sweep_data(sweep: Sweep) -> dict[str, Any]:
    """The same as plain data, unrounded, with the curves."""
    return {name: json.loads(curves.to_json()) for name, curves in sweep.curves.items()}


def barrier_data(rows: tuple[BarrierRow, ...]) -> dict[str, Any]:
    """The rows as plain data for `to_json`, unrounded."""
    return {"rows": [dataclasses.asdict(row) for row in rows]}
