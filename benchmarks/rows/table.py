"""What a row of the comparison says, and the table of all rows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

HEAD = "| row | what | beside | graphmerge | beside it | ratio, median (least to most) | target | met |"


@dataclass(frozen=True)
class Figure:
    """One thing measured in alternating runs: ``ours`` and ``theirs``, run by run, in ``unit``.

    ``target``: what the median ratio may be at most; None if nothing is asked.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    target: float | None = None

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over theirs, run by run."""
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def met(self) -> bool | None:
        """Whether the median ratio is within the target; None without one."""
        return None if self.target is None else statistics.median(self.ratios) <= self.target


@dataclass(frozen=True)
class Row:
    """A row: what is compared with what, its figures, what else was found (``notes``), or why it was ``skipped``."""

    number: int
    what: str
    beside: str
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: str = ""

    @classmethod
    def of(cls, data: dict) -> Row:
        """The row that `dataclasses.asdict` made data of, be it by way of JSON."""
        figures = [Figure(**f | {"ours": tuple(f["ours"]), "theirs": tuple(f["theirs"])}) for f in data["figures"]]
        return cls(**data | {"figures": tuple(figures), "notes": tuple(data["notes"])})


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown, and under it what else they say."""
    lines = [HEAD, "|" + " --- |" * (HEAD.count("|") - 1)]
    for row in rows:
        lines += [_line(row, figure) for figure in row.figures]
    said = [f"- Row {row.number}: {note}" for row in rows for note in row.notes]
    said += [f"- Row {row.number} ({row.what}) was not measured: {row.skipped}" for row in rows if row.skipped]
    return "\n".join([*lines, "", *said] if said else lines) + "\n"


def _line(row: Row, figure: Figure) -> str:
    ratios = figure.ratios
    spread = f"{_short(statistics.median(ratios))} ({_short(min(ratios))} to {_short(max(ratios))})"
    target = "" if figure.target is None else f"<= {figure.target:g}"
    met = {None: "", True: "yes", False: "**no**"}[figure.met]
    medians = [f"{_short(statistics.median(side))} {figure.unit}" for side in (figure.ours, figure.theirs)]
    cells = (str(row.number), f"{row.what}: {figure.name}", row.beside, *medians, spread, target, met)
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    """Three digits.

    >>> _short(0.123456), _short(1234.5)
    ('0.123', '1234')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
