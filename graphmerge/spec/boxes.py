"""From the axes of a tensor, as the notation writes them, to its blocks: one for each joint choice of segments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from graphmerge.spec.notation import Name, Node, NotationError, segments_of
from graphmerge.spec.quantities import LARGEST
from graphmerge.spec.wording import nearest, quoted
from graphmerge.symmetry import Block, Group, Move

MOST: Final = 4096  # boxes of a tensor


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What names may stand in the axes: the groups, and the size of every group and named pin."""

    groups: Mapping[str, Group]
    sizes: Mapping[str, int]

    def size_of(self, name: Name) -> int:
        """Units of the factor that a name stands for.

        Raises:
            NotationError: there is no such group.
        """
        if name.text not in self.sizes:
            hint = nearest(name.text, self.sizes) or "; declare it under 'groups'"
            raise NotationError(f"no group is called {quoted(name.text)}{hint}", name.column, name.text)
        return self.sizes[name.text] if name.part is None else name.part[1]


@dataclass(frozen=True, slots=True)
class Box:
    """A block with the names of its factors (None for a fixed one)."""

    block: Block
    names: tuple[Name | None, ...]


def boxes_of(axes: Sequence[Node], vocabulary: Vocabulary, first_row: int = 0) -> tuple[tuple[int, ...], list[Box]]:
    """Shape and boxes of a tensor (of its rows from ``first_row`` on), by increasing offsets.

    Raises:
        NotationError: an unknown name, a base that is missing, or parts that do not make up their group.
    """
    measured = [segments_of(axis, vocabulary.size_of) for axis in axes]
    if (count := math.prod(len(segments) for _, segments in measured)) > MOST:
        raise NotationError(f"these axes have {count:,} combinations of segments; a tensor has at most {MOST:,}", 0)
    if max(length for length, _ in measured) > LARGEST:
        raise NotationError(f"an axis has at most {LARGEST} units; make its factors smaller", 0)
    boxes = []
    for chosen in itertools.product(*(segments for _, segments in measured)):
        runs = [segment.run for segment in chosen]
        if first_row:
            runs[0] = replace(runs[0], offset=runs[0].offset + first_row)
        names = tuple(f.name for segment in chosen for f in segment.factors)
        block = Block(tuple(runs), ())
        boxes.append(Box(replace(block, moves=_moves(block, names, vocabulary)), names))
    return tuple(length for length, _ in measured), boxes


def _moves(block: Block, names: Sequence[Name | None], vocabulary: Vocabulary) -> tuple[Move, ...]:
    """The moves of all groups that the names stand for, by their first factor."""
    found = []
    for dims in _occurrences(names, vocabulary):
        first = names[dims[0]]
        assert first is not None
        group = vocabulary.groups[first.text]
        over = tuple(
            _base(block, names, dims[0], base, first.at[slot] if first.at else None)
            for slot, base in enumerate(group.over)
        )
        found.append(Move(group.name, dims, over))
    return tuple(sorted(found, key=lambda move: min(move.dims)))


def _occurrences(names: Sequence[Name | None], vocabulary: Vocabulary) -> list[tuple[int, ...]]:
    """The factors of each occurrence of a group: one, or its parts, outermost part first."""
    whole: list[tuple[int, ...]] = []
    parts: dict[str, dict[int, list[int]]] = {}
    for dim, name in enumerate(names):
        if name is None or name.text not in vocabulary.groups:
            continue
        group = vocabulary.groups[name.text]
        if name.at and len(name.at) != len(group.over):
            bases = ", ".join(group.over) or "nothing"
            raise NotationError(f"{group.name!r} is over {bases}, but '@' lists {len(name.at)}", name.column)
        if name.part is None:
            whole.append((dim,))
        else:
            parts.setdefault(name.text, {}).setdefault(name.part[0], []).append(dim)
    for text, by_number in parts.items():
        column = next(name.column for name in names if name is not None and name.text == text)
        if sorted(by_number) != list(range(len(by_number))) or len({len(d) for d in by_number.values()}) > 1:
            raise NotationError(f"every part of {text!r} must stand in the tensor as often as the others", column)
        for dims in zip(*(by_number[k] for k in sorted(by_number))):
            sizes = [name.part[1] for d in dims if (name := names[d]) is not None and name.part is not None]
            if math.prod(sizes) != vocabulary.sizes[text]:
                shown = "×".join(map(str, sizes))
                raise NotationError(f"the parts of {text!r} make {shown} of its {vocabulary.sizes[text]} units", column)
            whole.append(dims)
    return whole


def _base(block: Block, names: Sequence[Name | None], dim: int, base: str, at: int | None) -> int:
    """The factor of ``base`` that chooses the permutation of the factor ``dim``."""
    own = names[dim]
    assert own is not None
    places = [d for d, name in enumerate(names) if name is not None and name.text == base and name.part is None]
    if not places:
        raise NotationError(
            f"{own.text!r} is over {base!r}, which does not stand in the same block; write ({base} {own.text})",
            own.column,
        )
    if at is not None:
        if not 1 <= at <= len(places):
            raise NotationError(
                f"{own} asks for number {at} of the factors {base!r}, but there are {len(places)} in this block; "
                f"count from 1",
                own.column,
            )
        return places[at - 1]
    return default_base(block, places, dim, own)


def default_base(block: Block, places: Sequence[int], dim: int, own: Name) -> int:
    """Which of several factors of a base is meant if nothing says so: the only one, or the only one on the same axis.

    Raises:
        NotationError: there is no such one.
    """
    near = [d for d in places if block.axis_of(d) == block.axis_of(dim)]
    for only in (places, near):
        if len(only) == 1:
            return only[0]
    raise NotationError(
        f"{len(places)} factors may choose for {own.text!r}: write {own.text}@1 for the first", own.column
    )
