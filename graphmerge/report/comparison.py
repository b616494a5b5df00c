"""A Comparison for people: three lists, layers folded."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Group as Together
from rich.console import RenderableType
from rich.text import Text

from graphmerge.compare import Comparison, Freedom, Tie
from graphmerge.report import numbers
from graphmerge.report.fold import range_text

_NUMBER = re.compile(r"(?<=\.)\d+(?=[.\s,:)]|$)")  # of a layer: a whole part of a dotted name


def comparison_report(found: Comparison, names: tuple[str, str]) -> Together:
    """The verdict in a sentence, and what differs in three lists; ``names`` are those of the two sides."""
    if found.equal:
        return Together(Text(f"{names[0]} and {names[1]}: {found}"))
    orders = (numbers.count(round(n)) for n in (found.log_order, found.reference_log_order))
    same = numbers.count(len(found.names))
    parts: list[RenderableType] = [
        Text(
            f"{names[0]} differs from {names[1]}: {same} groups are the same; ln of the number of elements "
            f"{next(orders)} and {next(orders)}"
        )
    ]
    for title, entries in (
        ("missing ties (unsound)", found.missing_ties),
        ("wrong ties (unsound)", found.wrong_ties),
        ("missing freedom (sound)", found.missing_freedom),
    ):
        parts.append(Text(f"\n{title}: {numbers.count(len(entries)) if entries else 'none'}", style="bold"))
        parts += [Text(f"  {line}") for line in _lines(entries)]
    return Together(*parts)


def comparison_data(found: Comparison) -> dict[str, Any]:
    """The same as plain data for `to_json`."""
    return {"equal": found.equal, "sound": found.sound, **dataclasses.asdict(found), "names": dict(found.names)}


def _lines(entries: Sequence[Tie] | Sequence[Freedom]) -> list[str]:
    """One line for entries that differ in the numbers of layers only, with the smallest and the largest error."""
    folded: dict[str, list[tuple[str, float | None]]] = defaultdict(list)
    for entry in entries:
        error = entry.error if isinstance(entry, Tie) else None
        text = str(dataclasses.replace(entry, error=None) if isinstance(entry, Tie) else entry)
        folded[_NUMBER.sub("#", text)].append((text, error))
    return [_line(pattern, members) for pattern, members in folded.items()]


def _line(pattern: str, members: Sequence[tuple[str, float | None]]) -> str:
    places = zip(*(map(int, _NUMBER.findall(text)) for text, _ in members))
    shown = iter(range_text(tuple(sorted(set(found)))) for found in places)
    line = re.sub("#", lambda _: next(shown), pattern)
    errors = sorted({error for _, error in members if error is not None})
    if not errors:
        return line
    least, most = numbers.error(errors[0]), numbers.error(errors[-1])
    return f"{line}; outputs change by {least if least == most else f'{least} to {most}'}"
