"""Where freedom was left: the axes on which counted automorphisms move units that the derived symmetry does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from graphmerge.certificate.derived import Factor
from graphmerge.certify import Count
from graphmerge.certify.coloured import generators, joined, log_order
from graphmerge.symmetry import Symmetry

SAME: Final = 1e-6  # log-orders closer than this are equal: the least factor there is is ln 2

Move = Mapping[int, int]


@dataclass(frozen=True)
class Freedom:
    """An axis on which more may move than was derived.

    Attributes:
        tensor: its name.
        axis: which of its dimensions.
        units: those that could move further.
        reason: why the derivation holds them, if it pins them; else which groups move them already.
    """

    tensor: str
    axis: int
    units: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.tensor}[{self.axis}]"


def locate(counted: Count, derived: Sequence[Factor], symmetry: Symmetry) -> tuple[Freedom, ...]:
    """The axes that have more freedom than ``derived`` says, in model order.

    First by orbits: a unit that automorphisms take where no derived element takes it. Then, for freedom that orbits do
    not show (two groups that the derivation ties to one; units that move in each head alone but were derived to move
    in all heads together), one tensor after the other: how many ways it can move while those before it stand still.
    """
    tensors = {name: ids for name, ids in counted.tensors.items() if ids.dim()}
    seen: dict[tuple[int, ...], str] = {}
    once = {seen.setdefault(tuple(ids.flatten().tolist()), name): ids for name, ids in tensors.items()}
    moves = generators(counted.graph)
    swaps = [move for factor in derived for move in factor.moves]
    found = {name: list(_freer(ids, moves, swaps)) for name, ids in once.items()}
    for name, axes in _one_after_the_other(counted, derived, once):
        found[name] = found[name] or axes
    return tuple(
        Freedom(name, axis, units, _reason(symmetry, name, axis, units)) for name in once for axis, units in found[name]
    )


def _freer(
    ids: torch.Tensor, counted: Iterable[Move], derived: Iterable[Move]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Axes of one tensor with units whose orbit is larger counted than derived."""
    more, less = (joined(ids.flatten().tolist(), _within(ids, moves)) for moves in (counted, derived))
    for axis in range(ids.dim()):
        wide, narrow = _parts(ids, axis, more), _parts(ids, axis, less)
        if units := tuple(u for u in range(ids.shape[axis]) if len(wide[u]) > len(narrow[u])):
            yield axis, units


def _within(ids: torch.Tensor, moves: Iterable[Move]) -> Iterator[Move]:
    inside = set(ids.flatten().tolist())
    for move in moves:
        yield {source: target for source, target in move.items() if source in inside and target in inside}


def _parts(ids: torch.Tensor, axis: int, orbits: Mapping[int, int]) -> list[set[int]]:
    """For each unit of an axis, the units that entries of it can get to."""
    together: dict[int, set[int]] = {}
    for unit, part in enumerate(ids.unbind(axis)):
        for entry in part.flatten().tolist():
            together.setdefault(orbits[entry], set()).add(unit)
    return [set().union(*(together[orbits[entry]] for entry in part.flatten().tolist())) for part in ids.unbind(axis)]


def _one_after_the_other(
    counted: Count, derived: Sequence[Factor], tensors: Mapping[str, torch.Tensor]
) -> Iterator[tuple[str, list[tuple[int, tuple[int, ...]]]]]:
    """Tensors that can move in more ways than derived while all before them stand still, and the axes that do."""
    fixed: list[int] = []
    left = list(derived)
    order = counted.log_order
    for name, ids in tensors.items():
        if order < SAME:
            return
        entries = set(ids.flatten().tolist()) - set(fixed)
        here = [factor for factor in left if any(entries & move.keys() for move in factor.moves)]
        before = [move for move in generators(counted.graph, fixed) if entries & move.keys()]
        fixed += sorted(entries)
        after = log_order(counted.graph, fixed) if before else order
        if order - after > sum(factor.log_order for factor in here) + SAME:
            swaps = [move for factor in here for move in factor.moves]
            yield name, list(_freer(ids, before, swaps)) or list(_freer(ids, before, ()))
        left = [factor for factor in left if factor not in here]
        order = after


def _reason(symmetry: Symmetry, tensor: str, axis: int, units: Sequence[int]) -> str:
    """Why the derivation holds these units, in its own words."""
    wanted = set(units)
    pins = [
        pin.reason
        for pin in symmetry.pinned
        for a in pin.axes
        if (a.tensor, a.axis) == (tensor, axis) and wanted & set(a.part.run.units().flatten().tolist())
    ]
    groups = [
        group.name
        for group in symmetry.groups
        for a in group.members
        if (a.tensor, a.axis) == (tensor, axis) and wanted & set(a.part.run.units().flatten().tolist())
    ]
    said = [f"pinned: {reason}" for reason in dict.fromkeys(pins)]
    if groups:
        said.append(f"derived to move with {', '.join(dict.fromkeys(groups))} only")
    return "; ".join(said) or "in no group"
