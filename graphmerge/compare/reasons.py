"""Why a group is no group of the other symmetry, axis by axis, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphmerge.compare.labels import Place, Places, matching, shown
from graphmerge.symmetry import Symmetry

SHOWN = 4  # axes in a sentence


@dataclass(frozen=True)
class Tie:
    """A group that is unsound, the axes where it is, and why; ``error`` is what it does to the outputs of a model."""

    group: str
    axes: tuple[str, ...]
    reason: str
    error: float | None = None

    def __str__(self) -> str:
        more = f" and {len(self.axes) - SHOWN} more" if len(self.axes) > SHOWN else ""
        listed = f" {', '.join(self.axes[:SHOWN])}{more}" if self.axes else ""
        measured = "" if self.error is None else f"; moving {self.group} changes the outputs by {self.error:.1e}"
        return f"{self.group} {self.reason}{listed}{measured}"


@dataclass(frozen=True)
class Freedom:
    """A group of the reference that the symmetry does not have, and why."""

    group: str
    reason: str

    def __str__(self) -> str:
        return f"{self.group} {self.reason}"


def unsound(here: Places, group: str, there: Places) -> tuple[list[Tie], list[Tie]]:
    """Missing and wrong ties of a group that is not in the reference ``there``.

    Where it is one group of the reference on most of its axes, the others of that group are missing. Where it is
    another group, or none, on a few, those are wrong.
    """
    found = matching(here, group, there)
    own = here.groups[group]
    main = [h for h, places in found.items() if len(found) == 1 or 2 * len(places) > len(there.groups[h])]
    known = {place for h in main for place in found[h]}
    missing = [
        text
        for h in main
        for place, labels in there.groups[h].items()
        if (text := _left_out(place, labels.units, own[place].units if place in own else None)) is not None
    ]
    stray = [place for place in own if place not in known]
    # two whole groups of the reference moved as one are sound: the fault is elsewhere
    ties = (
        [Tie(group, tuple(dict.fromkeys(missing)), f"leaves out what moves with {', '.join(main)}:")] if missing else []
    )
    bad = list(_stray(here, group, stray, there))
    return (ties, bad) if ties or bad else _other_shape(here.symmetry, group, there.symmetry, main)


def _left_out(place: Place, units: np.ndarray, moved: np.ndarray | None) -> str | None:
    left = units if moved is None else np.setdiff1d(units, moved)
    return shown(place, left, units) if left.size else None


def _stray(here: Places, group: str, places: list[Place], there: Places) -> Iterator[Tie]:
    """Axes where the reference has another group, or none, by what it has there."""
    by_reason: dict[str, list[str]] = {}
    for place in places:
        labels = here.groups[group][place]
        by_reason.setdefault(_instead(there, place, labels.units), []).append(f"{place[0]}[{place[1]}]")
    for reason, axes in by_reason.items():
        yield Tie(group, tuple(axes), f"may not move ({reason}):")


def _instead(there: Places, place: Place, units: np.ndarray) -> str:
    """What the reference says of these units of an axis."""
    groups = [name for name in there.at.get(place, ()) if np.isin(units, there.groups[name][place].units).any()]
    if groups:
        return f"in the reference this is {' × '.join(groups)}"
    for pin in there.symmetry.pinned:
        for axis in pin.axes:
            if (axis.tensor, axis.axis) == place and np.isin(units, axis.part.run.units().reshape(-1)).any():
                return f"pinned: {pin.reason}"
    return "the reference does not move it"


def _other_shape(here: Symmetry, group: str, there: Symmetry, main: list[str]) -> tuple[list[Tie], list[Tie]]:
    """The same axes, but the permutations of different units depend on each other in another way."""
    sizes = f"{here.copies(group)} of {here[group].size} units"
    if main and here.copies(group) > there.copies(main[0]):
        fewer = f"{there.copies(main[0])} of {there[main[0]].size}"
        return [Tie(group, (), f"has {sizes} that move apart, but the reference has {fewer}: they move alike")], []
    return [], [Tie(group, (), "moves what the reference moves, but in another way (its factors stand otherwise)")]


def missing_freedom(there: Places, group: str, here: Places) -> Freedom:
    """Why a group of the reference is not in a symmetry that is sound there."""
    reference, symmetry = there.symmetry, here.symmetry
    told = f"({reference[group].size} units{_over(reference, group)})"
    found = matching(there, group, here)
    if not found:
        acting = {
            name
            for place, labels in there.groups[group].items()
            for name in here.at.get(place, ())
            if labels.is_part_of(here.groups[name][place])
        }
        cut = f"is there in parts only, as {' × '.join(sorted(acting))}" if acting else "does not move"
        return Freedom(group, f"{told} {cut}")
    name = next(iter(found))
    others = [h for h in matching(here, name, there) if h != group]
    if others:
        return Freedom(group, f"{told} moves only together with {', '.join(others[:SHOWN])}, as {name}")
    if symmetry.copies(name) < reference.copies(group):
        return Freedom(group, f"{told} is the same permutation for all of its bases, as {name}")
    return Freedom(group, f"{told} moves only in part, as {name}")


def _over(symmetry: Symmetry, group: str) -> str:
    over = symmetry[group].over
    return f" over {', '.join(over)}" if over else ""
