"""What a Verification found about each group's kind, for people: folded over layers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from graphmerge.report import numbers
from graphmerge.report.fold import fold
from graphmerge.report.render import table
from graphmerge.verify import KindCheck, Verification

HOLDS, TOO_LARGE, UNTESTED, TOO_SMALL = "holds", "too large: changes the outputs", "untested", "may be larger"


@dataclass(frozen=True)
class KindRow:
    """Groups of one kind with one verdict, folded over layers.

    ``error`` is the largest among them under random maps of their kind; ``broken`` the smallest with an axis on the
    wrong side; ``widened`` the smallest under maps of the kinds that come next, ``wider`` (none for the largest kind).
    """

    pattern: str
    kind: str
    verdict: str
    error: float
    broken: float | None
    widened: float | None
    wider: tuple[str, ...]


def kind_rows(found: Verification) -> tuple[KindRow, ...]:
    """One row for each set of groups that differ in their layer numbers only and agree about their kind."""
    rows = []
    for folded in fold({name: (check.kind, _verdict(check), *check.wider) for name, check in found.kinds.items()}):
        checks = [found.kinds[name] for name in folded.names]
        rows.append(
            KindRow(
                pattern=folded.pattern,
                kind=checks[0].kind,
                verdict=_verdict(checks[0]),
                error=max(c.error for c in checks),
                broken=min((c.broken for c in checks if c.broken is not None), default=None),
                widened=min((c.widened for c in checks if c.widened is not None), default=None),
                wider=tuple(checks[0].wider),
            )
        )
    return tuple(rows)


def kinds_table(found: Verification) -> Table:
    """Group, kind, and how far the outputs move under it, with an axis on the wrong side, and under larger kinds."""
    figures = ["error", "error with an axis on the wrong side", "error of larger kinds"]
    cells = [
        [row.pattern, plain(row.kind), *(numbers.error(e) for e in (row.error, row.broken, row.widened)), row.verdict]
        for row in kind_rows(found)
    ]
    return table("Kinds", ["group", "kind", *figures, "verdict"], cells, numbers=figures)


def kinds_data(found: Verification) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [dataclasses.asdict(row) for row in kind_rows(found)]


def plain(kind: str) -> str:
    """A kind in words."""
    return kind.replace("_", " ")


def _verdict(check: KindCheck) -> str:
    if not check.ok:
        return TOO_LARGE
    if check.untested:
        return UNTESTED
    return TOO_SMALL if check.cautious else HOLDS
