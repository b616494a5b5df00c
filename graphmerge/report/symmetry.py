"""A Symmetry for people: groups folded over layers, and what is pinned and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from rich.console import Group as Together
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from graphmerge.report import numbers
from graphmerge.report.fold import Folded, fill, fold, split
from graphmerge.report.kinds import plain
from graphmerge.report.render import table
from graphmerge.symmetry import Group, Pin, Symmetry

_SAME = "="  # in an over's template: the number that the group itself has at that place


@dataclass(frozen=True)
class GroupRow:
    """Groups of one shape, folded over layers.

    ``copies`` is how many independent permutations each of them has (none for what a rotary table leaves), ``tensors``
    the most tensors that one moves.
    """

    pattern: str
    size: int
    over: tuple[str, ...]
    kind: str
    groups: int
    copies: int
    tensors: int


@dataclass(frozen=True)
class PinRow:
    """Everything that may not move for one reason: how many leaves, on how many axes, and one of them."""

    reason: str
    leaves: int
    axes: int
    example: str


def group_rows(symmetry: Symmetry) -> tuple[GroupRow, ...]:
    """One row for each set of groups that differ in their layer numbers only; what rotary tables leave comes last."""
    turned = {r.group.name: r.group for r in symmetry.rotary}
    rows = []
    for groups in (symmetry.by_name, turned):
        for folded in fold({g.name: _shape(symmetry, g) for g in groups.values()}):
            members = [groups[name] for name in folded.names]
            rows.append(
                GroupRow(
                    pattern=folded.pattern,
                    size=members[0].size,
                    over=tuple(_over_text(template, folded) for template in _over_templates(members[0])),
                    kind=members[0].kind,
                    groups=len(members),
                    copies=0 if groups is turned else symmetry.copies(members[0].name),
                    tensors=max(len({axis.tensor for axis in g.members}) for g in members),
                )
            )
    return tuple(rows)


def pin_rows(symmetry: Symmetry) -> tuple[PinRow, ...]:
    """One row a reason, the commonest first."""
    reasons: dict[str, list[Pin]] = {}
    for pin in symmetry.pinned:
        reasons.setdefault(pin.reason, []).append(pin)
    rows = [
        PinRow(reason, len(pins), len(axes := [a for p in pins for a in p.axes]), str(axes[0]) if axes else "")
        for reason, pins in reasons.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.leaves, row.reason)))


def symmetry_report(symmetry: Symmetry) -> Together:
    """The groups, the pins with their reasons, and the notes, for a console or `to_text`."""
    parts: list[RenderableType] = [_groups_table(symmetry)]
    parts += [Text(f"not function-preserving: {reason}") for reason in symmetry.unsound]
    if pins := pin_rows(symmetry):
        cells = [[r.reason, numbers.count(r.leaves), numbers.count(r.axes), r.example or numbers.MISSING] for r in pins]
        parts.append(table("Pinned", ["reason", "leaves", "axes", "for example"], cells, numbers=["leaves", "axes"]))
    parts += [Text(f"note: {note}") for note in symmetry.notes]
    return Together(*parts)


def symmetry_data(symmetry: Symmetry) -> dict[str, Any]:
    """The same as plain data for `to_json`."""
    return {
        "model": symmetry.model,
        "log_order": symmetry.log_order(),
        "groups": [dataclasses.asdict(row) for row in group_rows(symmetry)],
        "pinned": [dataclasses.asdict(row) for row in pin_rows(symmetry)],
        "notes": list(symmetry.notes),
        "unsound": list(symmetry.unsound),
    }


def _groups_table(symmetry: Symmetry) -> Table:
    """The groups; their kind is said only where one is no plain permutation."""
    rows = group_rows(symmetry)
    columns = ["group", "size", "over", "groups", "permutations each", "tensors", "kind"]
    cells = [
        [
            row.pattern,
            numbers.count(row.size),
            ", ".join(row.over) or numbers.MISSING,
            numbers.count(row.groups),
            numbers.count(row.copies) if row.copies else numbers.MISSING,
            numbers.count(row.tensors),
            plain(row.kind),
        ]
        for row in rows
    ]
    if all(row.kind == "permutation" for row in rows):
        columns, cells = columns[:-1], [line[:-1] for line in cells]
    title = (
        f"{symmetry.model or 'model'}: {numbers.count(len(symmetry.groups))} groups, "
        f"{numbers.order(symmetry.log_order())} elements"
    )
    return table(title, columns, cells, numbers=["size", "groups", "permutations each", "tensors"])


def _shape(symmetry: Symmetry, group: Group) -> Hashable:
    """What groups that are folded into one row have in common."""
    return (group.size, *(symmetry.sizes[base] for base in group.over), group.kind, tuple(_over_templates(group)))


def _over_templates(group: Group) -> list[tuple[str, ...]]:
    """The names that a group is over, with `_SAME` for a number that the group has at the same place."""
    _, own = split(group.name)
    templates = []
    for base in group.over:
        parts, indices = split(base)
        texts = iter(_SAME if own[k : k + 1] == (i,) else str(i) for k, i in enumerate(indices))
        templates.append(tuple(next(texts) if part is None else part for part in parts))
    return templates


def _over_text(template: tuple[str, ...], folded: Folded) -> str:
    """The template with the ranges of the row that it belongs to."""
    place = -1
    parts = []
    for part in template:
        place += part == _SAME or part.isdecimal()
        parts.append(fill((None,), [folded.ranges[place]]) if part == _SAME else part)
    return ".".join(parts)
