"""Where freedom was left: the axes with units that nothing tells apart and that the derived symmetry does not move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from graphmerge.certificate.derived import Factor
from graphmerge.certify import Drawn
from graphmerge.certify.coloured import joined
from graphmerge.certify.count import SAME
from graphmerge.certify.refine import Cells
from graphmerge.symmetry import Symmetry

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


def locate(counted: Drawn, derived: Sequence[Factor], symmetry: Symmetry) -> tuple[Freedom, ...]:
    """The axes that have more freedom than ``derived`` says, in model order.

    First by colours: a unit that shares its colour with more units than derived elements take it to. Then, for freedom
    that this does not show (two groups that the derivation ties to one; units that move in each head alone but were
    derived to move in all heads together), one tensor after the other: how many ways it can move while those before it
    stand still. Colours tell less apart than automorphisms do, so what shares one may be held for a deeper reason.
    """
    tensors = {name: ids for name, ids in counted.tensors.items() if ids.dim()}
    seen: dict[tuple[int, ...], str] = {}
    once = {seen.setdefault(tuple(ids.flatten().tolist()), name): ids for name, ids in tensors.items()}
    cells = Cells(counted.graph)
    swaps = [move for factor in derived for move in factor.moves]
    found = {name: list(_freer(ids, _colours(counted, cells, ids), swaps)) for name, ids in once.items()}
    for name, axes in _one_after_the_other(counted, cells, derived, once):
        found[name] = found[name] or axes
    return tuple(
        Freedom(name, axis, units, _reason(symmetry, name, axis, units)) for name in once for axis, units in found[name]
    )


def _colours(counted: Drawn, cells: Cells, ids: torch.Tensor) -> dict[int, int]:
    """The colour of each entry of a tensor; entries that no output depends on have one each."""
    vertices = counted.graph.entries
    return {n: cells.colour_of(vertices[n]) if n in vertices else -1 - n for n in ids.flatten().tolist()}


def _freer(
    ids: torch.Tensor, colours: Mapping[int, int], derived: Iterable[Move]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Axes of one tensor with units that share a colour with more of them than derived moves take them to."""
    orbits = joined(ids.flatten().tolist(), _within(ids, derived))
    for axis in range(ids.dim()):
        wide, narrow = _parts(ids, axis, colours), _parts(ids, axis, orbits)
        if units := tuple(u for u in range(ids.shape[axis]) if len(wide[u]) > len(narrow[u])):
            yield axis, units


def _within(ids: torch.Tensor, moves: Iterable[Move]) -> Iterator[Move]:
    inside = set(ids.flatten().tolist())
    for move in moves:
        yield {source: target for source, target in move.items() if source in inside and target in inside}


def _parts(ids: torch.Tensor, axis: int, kinds: Mapping[int, int]) -> list[set[int]]:
    """For each unit of an axis, the units that have entries of the same kind as it."""
    together: dict[int, set[int]] = {}
    for unit, part in enumerate(ids.unbind(axis)):
        for entry in part.flatten().tolist():
            together.setdefault(kinds[entry], set()).add(unit)
    return [set().union(*(together[kinds[entry]] for entry in part.flatten().tolist())) for part in ids.unbind(axis)]


def _one_after_the_other(
    counted: Drawn, cells: Cells, derived: Sequence[Factor], tensors: Mapping[str, torch.Tensor]
) -> Iterator[tuple[str, list[tuple[int, tuple[int, ...]]]]]:
    """Tensors that can move in more ways than derived while all before them stand still, and the axes that do."""
    left = list(derived)
    for name, ids in tensors.items():
        entries = set(ids.flatten().tolist())
        here = [factor for factor in left if any(entries & move.keys() for move in factor.moves)]
        left = [factor for factor in left if factor not in here]
        colours = _colours(counted, cells, ids)
        ways = cells.fix_all(counted.graph.entries[n] for n in sorted(entries & counted.graph.entries.keys()))
        if ways > sum(factor.log_order for factor in here) + SAME:
            swaps = [move for factor in here for move in factor.moves]
            yield name, list(_freer(ids, colours, swaps)) or list(_freer(ids, colours, ()))


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
