"""What a recipe will take, and what came out of it. Neither holds a time, so that a run gives the same bytes again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group as Together
from rich.console import RenderableType
from rich.text import Text

from graphmerge.evaluate import Curve
from graphmerge.report import numbers
from graphmerge.report.barriers import barrier_rows, barrier_table
from graphmerge.report.fold import fold
from graphmerge.report.render import table, to_text


@dataclass(frozen=True)
class PlanRow:
    """One stage: what it does, the bytes it holds in memory and writes, and its floating-point operations."""

    stage: str
    what: str
    memory: int
    written: int = 0
    operations: int = 0


@dataclass(frozen=True)
class RecipeReport:
    """What a run found.

    ``groups`` and ``notes`` are those of each model after the first; ``losses`` those of the models and ``merged`` that
    of the result, over ``positions`` in ``unit``; None or empty where nothing was measured. ``with_kept`` are those of
    the result with the tensors that are kept apart, those of one model after the other. ``metrics`` are those of the
    models, of the result, and of the result with what is kept apart.
    """

    models: tuple[str, ...]
    weights: tuple[float, ...]
    interpolation: str
    method: str
    groups: tuple[tuple[str, ...], ...]
    notes: tuple[tuple[str, ...], ...] = ()
    losses: tuple[float, ...] = ()
    merged: float | None = None
    with_kept: tuple[float, ...] = ()
    positions: int | None = None
    unit: str = "loss"
    curve: Curve | None = None
    metrics: tuple[Mapping[str, float], ...] = ()


def plan_report(rows: Sequence[PlanRow], groups: Iterable[str], *, chosen: bool) -> RenderableType:
    """The stages with what they take, and the groups that take part."""
    cells = [
        [row.stage, row.what, numbers.size(row.memory), _size(row.written), _operations(row.operations)] for row in rows
    ]
    columns = ["stage", "what", "memory", "disk", "operations"]
    drawn = table("What this recipe will do", columns, cells, numbers=columns[2:])
    names = folded(groups)
    said = f"groups that {'may take part (chosen on the calibration data)' if chosen else 'take part'}: "
    return Together(drawn, Text(said + (", ".join(names) or "none")))


def plan_data(rows: Sequence[PlanRow], groups: Iterable[str], *, chosen: bool) -> dict[str, Any]:
    """The same as plain data."""
    return {"stages": [dataclasses.asdict(row) for row in rows], "groups": list(groups), "chosen": chosen}


def recipe_report(report: RecipeReport) -> str:
    """The report as text."""
    loss = "loss" if report.unit == "loss" else f"loss ({report.unit})"
    cells = [
        [model, f"{weight:g}", numbers.loss(value)]
        for model, weight, value in zip(report.models, report.weights, report.losses or (None,) * len(report.models))
    ]
    cells.append(["merged", "", numbers.loss(report.merged)])
    cells += [[f"merged, kept of {m}", "", numbers.loss(value)] for m, value in zip(report.models, report.with_kept)]
    title = "Models" if report.positions is None else f"Models, measured at {numbers.count(report.positions)} positions"
    columns = ["weight", loss, *(report.metrics[0] if report.metrics else ())]
    cells = [
        [*row, *map(numbers.loss, found.values())] for row, found in zip(cells, report.metrics or ({},) * len(cells))
    ]
    parts: list[RenderableType] = [table(title, ["model", *columns], cells, numbers=columns)]
    if report.curve is not None:
        parts.append(barrier_table(barrier_rows({report.method: report.curve}), "Barriers between the two models"))
    for model, groups, notes in zip(report.models[1:], report.groups, report.notes):
        parts.append(Text(f"{model} was matched by {report.method}: {', '.join(folded(groups)) or 'no group moved'}"))
        parts += [Text(f"  {note}") for note in notes]
    return to_text(Together(*parts), width=160)


def recipe_data(report: RecipeReport) -> dict[str, Any]:
    """The report as plain data."""
    data = dataclasses.asdict(report)
    if report.curve is not None:
        data["curve"].pop("seconds")
        data |= {"barrier": report.curve.barrier, "vanilla_barrier": report.curve.vanilla_barrier}
    return data


def folded(groups: Iterable[str]) -> list[str]:
    """Names of groups, those that differ in their layers drawn together.

    >>> folded(["residual", "layers.0.ffn", "layers.1.ffn"])
    ['residual', 'layers.{0..1}.ffn']
    """
    return [found.pattern for found in fold(dict.fromkeys(groups, None))]


def _size(value: int) -> str:
    return numbers.size(value) if value else numbers.MISSING


def _operations(value: int) -> str:
    return f"{value:.1e}" if value else numbers.MISSING
