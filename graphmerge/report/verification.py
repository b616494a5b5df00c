"""A Verification for people: per group, folded over layers, how far outputs moved and how well that was tested."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group as Together
from rich.console import RenderableType
from rich.text import Text

from graphmerge.report import numbers
from graphmerge.report.changes import changes_text
from graphmerge.report.fold import fold
from graphmerge.report.kinds import kinds_data, kinds_table, plain
from graphmerge.report.render import table
from graphmerge.verify import Verification

NAMED: Final = 8  # groups, in a sentence
HOLDS, CHANGES, UNTESTED = "holds", "changes the outputs", "untested"


@dataclass(frozen=True)
class VerificationRow:
    """Groups with one verdict, folded over layers.

    ``error`` is the largest among them, ``broken`` the smallest change that leaving out an axis of one of them makes.
    """

    pattern: str
    verdict: str
    error: float
    broken: float | None


def verification_rows(found: Verification) -> tuple[VerificationRow, ...]:
    """One row for each set of groups that differ in their layer numbers only and share a verdict."""
    rows = []
    for folded in fold({name: _verdict(found, name) for name in found.errors}):
        broken = [found.broken[name] for name in folded.names if name in found.broken]
        rows.append(
            VerificationRow(
                pattern=folded.pattern,
                verdict=_verdict(found, folded.names[0]),
                error=max(found.errors[name] for name in folded.names),
                broken=min(broken, default=None),
            )
        )
    return tuple(rows)


def verification_report(found: Verification) -> Together:
    """The verdict in a sentence, and the groups in a table, for a console or `to_text`."""
    cells = [
        [row.pattern, numbers.error(row.error), numbers.error(row.broken), row.verdict]
        for row in verification_rows(found)
    ]
    columns = ["group", "error", "error with an axis left out", "verdict"]
    parts: list[RenderableType] = [Text(_sentence(found))]
    if found.shrunk:
        like = "" if found.unlike else ", which has the groups of the model up to sizes and the number of layers"
        parts.append(Text(f"on a copy made small{like}: {changes_text(found.shrunk)}"))
    if found.branches is not None:
        parts.append(Text(f"{found.branches}{'' if found.branches.ok else ': CHANGED'}"))
    parts.append(table("Verification", columns, cells, numbers=["error", "error with an axis left out"]))
    if found.kinds:
        parts.append(kinds_table(found))
    return Together(*parts)


def verification_data(found: Verification) -> dict[str, Any]:
    """The same as plain data for `to_json`, with the errors of every group."""
    return {
        "ok": found.ok,
        "max_error": found.max_error,
        "tolerance": found.tolerance,
        "seconds": found.seconds,
        "untested": list(found.untested),
        "shrunk": {name: list(change) for name, change in found.shrunk.items()},
        "unlike": list(found.unlike),
        "branches": dataclasses.asdict(found.branches) if found.branches is not None else None,
        "errors": dict(found.errors),
        "broken": dict(found.broken),
        "kinds": kinds_data(found),
        "rows": [dataclasses.asdict(row) for row in verification_rows(found)],
    }


def _sentence(found: Verification) -> str:
    right = found.max_error <= found.tolerance
    relation, verdict = ("≤", "unchanged") if right else (">", "CHANGED")
    text = (
        f"outputs {verdict}: largest relative error {numbers.error(found.max_error)} {relation} "
        f"{numbers.error(found.tolerance)}, {numbers.count(len(found.errors))} groups, {numbers.seconds(found.seconds)}"
    )
    if found.untested:
        text += f"; {numbers.count(len(found.untested))} groups untested (leaving out an axis does not show)"
    if found.unlike:
        more = f" and {numbers.count(len(found.unlike) - NAMED)} more" if len(found.unlike) > NAMED else ""
        text += f"; NOTHING IS PROVEN, the copy differs from the model in {', '.join(found.unlike[:NAMED])}{more}"
    if found.wrong_kinds:
        told = (f"{plain(found.kinds[name].kind)} of {name}" for name in found.wrong_kinds)
        text += f"; CHANGED by a random {', '.join(told)}"
    return text


def _verdict(found: Verification, group: str) -> str:
    if found.errors[group] > found.tolerance:
        return CHANGES
    return UNTESTED if group in found.untested else HOLDS
