"""A Certificate for people: proven or not, what was counted, and the axes on which freedom was left."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group as Together
from rich.console import RenderableType
from rich.text import Text

from graphmerge.certificate import Certificate
from graphmerge.report import numbers
from graphmerge.report.changes import changes_text
from graphmerge.report.fold import fold
from graphmerge.report.render import table

VERDICTS: Final = {
    True: "PROVEN: no permutation was missed",
    False: "NOT PROVEN: derived and counted differ",
    None: "NOT COUNTED: soundness alone is shown",
}


@dataclass(frozen=True)
class MissedRow:
    """Axes with the same freedom left, folded over layers."""

    pattern: str
    axis: int
    units: int
    reason: str


def missed_rows(found: Certificate) -> tuple[MissedRow, ...]:
    """One row for each set of axes that differ in their layer numbers only."""
    left = {
        f"{freedom.tensor}.[{freedom.axis}]": (freedom.axis, len(freedom.units), freedom.reason)
        for freedom in found.missed
    }
    rows = []
    for folded in fold(left):
        axis, units, reason = left[folded.names[0]]
        rows.append(MissedRow(folded.pattern.rpartition(".")[0], axis, units, reason))
    return tuple(rows)


def certificate_report(found: Certificate) -> Together:
    """The verdict, what it rests on, and the axes in a table, for a console or `to_text`."""
    parts: list[RenderableType] = [Text(f"{found.model}: {VERDICTS[found.complete]}")]
    if found.reason:
        parts.append(Text(found.reason))
    rows = [
        ["derived", numbers.order(found.log_order), f"ln {found.log_order:.6f}"],
        ["counted", *_counted(found)],
    ]
    if found.slices:
        order, named = numbers.order(found.slices_log_order), ", ".join(found.slices)
        rows.append(["slices that trade places", f"× {order}", f"not searched; in {named}"])
    rows.append(["outputs under random elements", "unchanged" if found.sound else "CHANGED", _error(found)])
    if found.shrunk:
        rows.append(["certified on a copy", "made small", changes_text(found.shrunk)])
    rows.append(["seconds", numbers.seconds(found.seconds), ""])
    parts.append(table("Certificate", ["", "", ""], rows))
    if found.missed:
        cells = [[f"{r.pattern}[{r.axis}]", numbers.count(r.units), r.reason] for r in missed_rows(found)]
        parts.append(table("Freedom that was left", ["axis", "units", "in the derivation"], cells, numbers=["units"]))
    return Together(*parts)


def certificate_data(found: Certificate) -> dict[str, Any]:
    """The same as plain data for `to_json`, with every axis."""
    return {
        "complete": found.complete,
        "sound": found.sound,
        "model": found.model,
        "log_order": found.log_order,
        "counted": found.counted,
        "slices_log_order": found.slices_log_order,
        "slices": list(found.slices),
        "reason": found.reason,
        "missed": [{**dataclasses.asdict(freedom), "units": list(freedom.units)} for freedom in found.missed],
        "max_error": found.verification.max_error,
        "untested": list(found.verification.untested),
        "shrunk": {name: list(change) for name, change in found.shrunk.items()},
        "length": found.length,
        "nodes": found.nodes,
        "edges": found.edges,
        "seconds": found.seconds,
    }


def _counted(found: Certificate) -> list[str]:
    if found.counted is None:
        return [numbers.MISSING, ""]
    where = f" at {found.length} positions" if found.length else ""
    size = f"{numbers.count(found.nodes)} nodes, {numbers.count(found.edges)} edges{where}"
    return [numbers.order(found.counted), f"ln {found.counted:.6f}; {size}"]


def _error(found: Certificate) -> str:
    text = f"largest relative error {numbers.error(found.verification.max_error)}"
    untested = len(found.verification.untested)
    return f"{text}; {numbers.count(untested)} groups untested" if untested else text
