"""Are the symmetries of two models of one architecture the same, up to the number of layers, or up to sizes too?

One of them has fewer layers: every list of modules whose length differs is taken layer by layer, and each layer of one
must look like some layer of the other. What a layer looks like is what its tensors are cut into, which group moves
which factor over which others, and why the rest stands still; a group counts by the first axis that it moves and by how
far it reaches: within one layer, or beyond. Lists of equal length are compared place by place. Where a size has become
1 in a small copy, or equal to one that it differs from in the model, a group is missing there, or moves more; then the
two do not look alike, and what holds of the copy says nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from graphmerge.symmetry import KINDS, Axis, Block, Move, Run, Symmetry

WORDS: Final = ("look-up", "output")  # other reasons differ: what is a constant in one may be an input of the other
Layer = tuple[tuple[str, int], ...]  # lists that a tensor stands in, from the outside in, and its place in each
Fact = tuple[Any, ...]  # begins with the name of a tensor


@dataclass(frozen=True)
class Derived:
    """A symmetry, and the tensors of its model: all state-dict keys, and which of them are parameters."""

    symmetry: Symmetry
    keys: tuple[str, ...]
    parameters: frozenset[str]

    @classmethod
    def of(cls, model: torch.nn.Module, symmetry: Symmetry) -> Derived:
        """A symmetry with the tensors of its model."""
        parameters = frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))
        return cls(symmetry, tuple(model.state_dict()), parameters)


def unlike(model: Derived, copy: Derived, *, sized: bool = False) -> tuple[str, ...]:
    """Groups of the model that have no counterpart in the copy, and the other way round; empty if they correspond.

    Where a pin or the way that a tensor is cut differs and no group does, the tensor is named instead. Pins of
    parameters, and how classes larger than permutations act on each axis, are compared only if both say it: a spec need
    not.

    Args:
        model: what was derived from the model, or given for it.
        copy: the same of one with fewer layers.
        sized: compare sizes as well.
    """
    lengths, other = _lengths(model.keys), _lengths(copy.keys)
    shortened = {stack for stack, found in lengths.items() if found != other.get(stack, found)}
    whole = _says_all(model.symmetry) and _says_all(copy.symmetry)
    big, small = (_Look(d, shortened, sized, whole).layers for d in (model, copy))
    found: dict[str, None] = {}
    for layer, facts in _only_in(big, small):
        found |= dict.fromkeys(_differences(layer, facts, small))
    if not found:
        found = dict.fromkeys(f"{_place(layer)} of the copy" for layer, _ in _only_in(small, big))
    return tuple(found)


@dataclass(frozen=True)
class _Name:
    """What to call a fact by: its group, or else its tensor."""

    text: str
    is_group: bool


Layers = Mapping[Layer, Mapping[Fact, _Name]]


class _Look:
    """All facts about the tensors of each layer, and what to call each."""

    def __init__(self, derived: Derived, shortened: set[str], sized: bool, whole: bool) -> None:
        self.symmetry, self.keys = derived.symmetry, derived.keys
        self.shortened, self.sized, self.whole = shortened, sized, whole
        self.references = self._references()
        self.layers: dict[Layer, dict[Fact, _Name]] = defaultdict(dict)
        for key in self.keys:
            name, layer = self._split(key)
            self.layers[layer][(name,)] = _Name(key, is_group=False)
            self.layers[layer].update(self._cuts(key, name))
        for pin in self.symmetry.pinned if whole else ():
            word = next((w for w in WORDS if pin.reason.startswith(w)), "")
            for axis in (a for a in pin.axes if a.tensor in derived.parameters):
                name, layer = self._split(axis.tensor)
                self.layers[layer][(name, "pin", *_shape(axis), word)] = _Name(str(axis), is_group=False)

    def _split(self, key: str) -> tuple[str, Layer]:
        """The key with ``#`` for its places in lists that were shortened, and those places."""
        parts, layer = key.split("."), []
        for place, stack in _stacks(key):
            if stack in self.shortened:
                layer.append((".".join(parts[:place]), int(parts[place])))
                parts[place] = "#"
        return ".".join(parts), tuple(layer)

    def _references(self) -> dict[str, Fact]:
        """For each group: within how many lists it is in one layer, the first axis that it moves, its kind, its bases.

        A group that reaches beyond a layer is told by the place of that axis as well.
        """
        homes: dict[str, Layer] = {}
        firsts: dict[str, tuple[Layer, Fact]] = {}
        for key in self.keys:
            name, layer = self._split(key)
            for place, cut, block in self._blocks(key):
                for move in block.moves:
                    homes[move.group] = _common(homes.get(move.group, layer), layer)
                    firsts.setdefault(move.group, (layer, (name, place, _own(cut, block, move), move.dims)))
        plain: dict[str, Fact] = {}
        for group in self.symmetry.groups:
            depth = len(homes.get(group.name, ()))
            layer, first = firsts.get(group.name, ((), ()))
            plain[group.name] = (depth, layer[depth:], first, group.size if self.sized else None)
        bases = {pin.name: ("pinned", _without_numbers(pin.name)) for pin in self.symmetry.pinned if pin.name}
        return {
            g.name: (*plain[g.name], g.kind, tuple(plain.get(b) or bases[b] for b in g.over))
            for g in self.symmetry.groups
        }

    def _cuts(self, key: str, name: str) -> Iterator[tuple[Fact, _Name]]:
        """How a tensor is cut, and what moves in each block."""
        for place, cut, block in self._blocks(key):
            yield (name, "block", place, cut), _Name(key, is_group=False)
            for move in block.moves:
                many = self.symmetry[move.group].kind != KINDS[0]  # permutations act alike everywhere
                action = move.action if self.whole and many else None
                moving = (self.references[move.group], move.dims, move.over, action)
                yield (name, "move", place, _own(cut, block, move), *moving), _Name(move.group, is_group=True)

    def _blocks(self, key: str) -> Iterator[tuple[Fact, Fact, Block]]:
        """The blocks of a tensor, each after its place among them and what is told of its runs."""
        blocks = self.symmetry.layout.get(key, ())
        rank = len(blocks[0].runs) if blocks else 0
        starts = [sorted({block.runs[axis].offset for block in blocks}) for axis in range(rank)]
        for block in blocks:
            place = tuple(starts[axis].index(run.offset) for axis, run in enumerate(block.runs))
            yield place, block.runs if self.sized else tuple(map(_order, block.runs)), block


def _says_all(symmetry: Symmetry) -> bool:
    """Was it derived? A spec says nothing about actions."""
    moves = [move for blocks in symmetry.layout.values() for block in blocks for move in block.moves]
    return not moves or any(move.action is not None for move in moves)


def _only_in(one: Layers, other: Layers) -> Iterator[tuple[Layer, Mapping[Fact, _Name]]]:
    """Layers that look like none of the other model."""
    known = {frozenset(facts) for facts in other.values()}
    yield from ((layer, facts) for layer, facts in one.items() if frozenset(facts) not in known)


def _differences(layer: Layer, facts: Mapping[Fact, _Name], others: Layers) -> list[str]:
    """What to call the facts of a layer that the likest of the other layers lacks; else those that it lacks itself."""
    likest = max(others.values(), key=lambda other: len(facts.keys() & other.keys()), default={})
    surplus = [name for fact, name in facts.items() if fact not in likest]
    lacking = [name for fact, name in likest.items() if fact not in facts]
    here = f" at {_place(layer)}" if layer else ""
    for wanted in (True, False):
        if found := [n.text for n in surplus if n.is_group is wanted]:
            return found
        if found := [f"{n.text} of the copy{here}" for n in lacking if n.is_group is wanted]:
            return found
    return []


def _place(layer: Layer) -> str:
    return ".".join(map(str, layer[-1])) if layer else "the rest"


def _stacks(key: str) -> Iterator[tuple[int, str]]:
    """Positions of the numbers in a key, each with the path of its list, numbers in it written as ``#``."""
    parts = ["#" if part.isdecimal() else part for part in key.split(".")]
    yield from ((place, ".".join(parts[:place])) for place, part in enumerate(parts) if part == "#" and place)


def _lengths(keys: Iterable[str]) -> dict[str, frozenset[int]]:
    """How many entries the lists of each path have."""
    entries: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for key in keys:
        parts = key.split(".")
        for place, stack in _stacks(key):
            entries[stack][".".join(parts[:place])].add(parts[place])
    return {stack: frozenset(len(found) for found in lists.values()) for stack, lists in entries.items()}


def _common(one: Layer, other: Layer) -> Layer:
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return one[:same]


def _without_numbers(name: str) -> str:
    """
    >>> _without_numbers("layers.3.ffn_2")
    'layers.#.ffn'
    """
    return ".".join("#" if part.isdecimal() else re.sub(r"_\d+$", "", part) for part in name.split("."))


def _order(run: Run) -> Fact:
    """A run without its sizes: which factor is outside of which."""
    return tuple(sorted(range(len(run.sizes)), key=lambda k: -run.strides[k]))


def _own(cut: Fact, block: Block, move: Move) -> Fact:
    """What is told of the runs that a move and its bases stand on."""
    axes = {block.axis_of(dim) for dim in (*move.dims, *move.over)}
    return tuple((axis, cut[axis]) for axis in sorted(axes))


def _shape(axis: Axis) -> Fact:
    """An axis without sizes."""
    return axis.axis, len(axis.part.run.sizes), axis.part.factors
