"""What a group calls the units of an axis, so that the same group is recognised under another name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from graphmerge.symmetry import Symmetry

Place = tuple[str, int]  # a tensor and the number of one of its axes


@dataclass(frozen=True)
class Labels:
    """The units of one axis that a group moves, and which unit of the group each is."""

    units: np.ndarray
    labels: np.ndarray

    def agrees(self, other: Labels) -> bool:
        """On the units that both move: are they the same units of the group, under other numbers?"""
        return all(self._told(other))

    def is_part_of(self, other: Labels) -> bool:
        """On the units that both move: does the one tell which unit of the other it is, or the other way round?"""
        return any(self._told(other))

    def _told(self, other: Labels) -> list[bool]:
        """Do the labels of this one follow from those of the other, and the other way round?"""
        _, here, there = np.intersect1d(self.units, other.units, return_indices=True)
        if not here.size:
            return [False, False]
        pairs = np.unique(np.stack([self.labels[here], other.labels[there]]), axis=1)
        return [np.unique(side).size == pairs.shape[1] for side in reversed(pairs)]


class Places:
    """For every group of a symmetry the axes that it moves, and for every such axis its groups."""

    def __init__(self, symmetry: Symmetry) -> None:
        self.symmetry = symmetry

    @cached_property
    def groups(self) -> Mapping[str, Mapping[Place, Labels]]:
        """Where each group acts."""
        return {group.name: dict(self._of(group.name)) for group in self.symmetry.groups}

    @cached_property
    def at(self) -> Mapping[Place, tuple[str, ...]]:
        """The groups that act on each axis."""
        found: dict[Place, list[str]] = defaultdict(list)
        for group, places in self.groups.items():
            for place in places:
                found[place].append(group)
        return {place: tuple(names) for place, names in found.items()}

    def _of(self, group: str) -> Iterator[tuple[Place, Labels]]:
        found: dict[Place, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        for axis in self.symmetry[group].members:
            run, factors = axis.part.run, axis.part.factors
            index = np.indices(run.sizes).reshape(len(run.sizes), -1)
            label = np.asarray(np.ravel_multi_index([index[k] for k in factors], [run.sizes[k] for k in factors]))
            found[axis.tensor, axis.axis].append((run.units().reshape(-1), label))
        for place, parts in found.items():
            units, first = np.unique(np.concatenate([u for u, _ in parts]), return_index=True)
            yield place, Labels(units, np.concatenate([x for _, x in parts])[first])


def matching(one: Places, group: str, other: Places) -> dict[str, list[Place]]:
    """The groups of ``other`` that are this group somewhere, and the axes where they are."""
    found: dict[str, list[Place]] = defaultdict(list)
    for place, labels in one.groups[group].items():
        for name in other.at.get(place, ()):
            if labels.agrees(other.groups[name][place]):
                found[name].append(place)
    return found


def shown(place: Place, units: np.ndarray, whole: np.ndarray) -> str:
    """An axis, with the units that are meant where they are not all that the group has there."""
    tensor, axis = place
    text = f"{tensor}[{axis}]"
    if units.size == whole.size:
        return text
    ends = np.flatnonzero(np.diff(units) > 1)
    runs = [f"{part[0]}..{part[-1]}" if part.size > 1 else str(part[0]) for part in np.split(units, ends + 1)]
    return f"{text} units {', '.join(runs[:3])}{', ...' if len(runs) > 3 else ''}"
