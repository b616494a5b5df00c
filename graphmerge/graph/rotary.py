"""Queries and keys under a rotary table: pinned as permutations, but free by one complex number a frequency pair.

Found from structure: pinned leaves that the scores contract, with nothing but linear ops of constant coefficients
between the projections and the scores. These ops are run on unit vectors (`paths.py`): if each position turns pairs of
units, and every pair of positions relates them by a number times a rotation, a complex number on the queries and its
inverse on the keys changes no score. Learned gains on the way (a norm of queries or keys) leave no such freedom.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphmerge.algebra import Equation, SolvedBox, Term, Window
from graphmerge.graph.pairing import Column, Pairs, find_pairs
from graphmerge.graph.paths import Path, letters
from graphmerge.graph.roles import Flow
from graphmerge.symmetry import DUAL, PRIMAL
from graphmerge.trace.program import Program

PASSING = ("identity", "view", "permute", "expand", "slice", "cat", "look-up", "elementwise")


@dataclass(frozen=True)
class Turned:
    """Pairs of units along one axis of a parameter: pair p is ``start + p · stride`` and ``gap`` further."""

    tensor: str
    axis: int
    side: str
    heads: tuple[tuple[int, int], ...]
    start: int
    pairs: int
    stride: int
    gap: int

    @property
    def starts(self) -> set[int]:
        return {self.start + p * self.stride + part * self.gap for p in range(self.pairs) for part in (0, 1)}


@dataclass(frozen=True)
class RotaryLeaf:
    """Pinned leaves on which a complex number a pair may act, the leaves that these are over, and the axes."""

    leaves: tuple[int, ...]
    over: tuple[int, ...]
    axes: tuple[Turned, ...]


def find_rotary(flow: Flow, programs: Sequence[Program]) -> list[RotaryLeaf]:
    """All of them; a candidate that is not understood in every part is left out, which is safe."""
    finder = _Finder(flow, programs[0])
    found = (finder.candidate(number) for number in range(len(flow.equations)))
    return [leaf for leaf in found if leaf is not None]


@dataclass
class _Finder:
    flow: Flow
    program: Program
    speakers: dict[int, set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))
    pins: dict[int, list[tuple[str, int | None]]] = field(default_factory=lambda: defaultdict(list))
    known: dict[object, list[tuple[int, int]] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (number, letter), leaves in self.flow.leaves.items():
            for leaf in leaves:
                self.speakers[leaf].add((number, letter))
        for occurrence, pin in self.flow.solution.working.pins.items():
            self.pins[self.flow.solution.leaf_at(occurrence)].append(pin)

    def candidate(self, number: int) -> RotaryLeaf | None:
        """What a product of two activations contracts, if it may be turned."""
        eq = self.flow.equations[number]
        operands = _operands(self.flow, number)
        if len(operands) != 2 or any(str(t.tensor).startswith("trace") for t in eq.terms):
            return None
        solved = self.flow.solution.leaves
        contracted = [leaf for x in _contracted(self.flow, number) for leaf in self.flow.leaves.get((number, x), [])]
        leaves = tuple(leaf for leaf in contracted if solved[leaf].pinned is not None and solved[leaf].size > 1)
        if not leaves:
            return None
        leaves += self._inner(leaves, {leaf for (n, _), own in self.flow.leaves.items() if n == number for leaf in own})
        spoken: dict[int, set[str]] = defaultdict(set)
        for leaf in leaves:
            for other, letter in self.speakers[leaf]:
                spoken[other].add(letter)
        roles = {n: _role(self.flow, n, spoken[n]) for n in spoken}
        if None in roles.values() or not all(self._turns(leaf, spoken) for leaf in leaves):
            return None
        here = [n for n in sorted(spoken) if not _elsewhere(self.flow.equations[n])]
        if [n for n in here if roles[n] == "scores"] != [number]:
            return None
        sources = {}
        for n in here:
            if roles[n] == "source":
                place = _weight(self.flow, n, spoken[n])
                if place is None:
                    return None
                sources[self.flow.equations[n].origin.node] = (self.flow.equations[n], place)
        names = [self.flow.equations[n].origin.node for n in here if roles[n] == "path"]
        path = Path.of(self.program, names, sources, [str(t.tensor) for t in operands])
        axes = self._axes(path, eq, operands, leaves, [n for n in here if roles[n] == "source"])
        return None if axes is None else RotaryLeaf(leaves, self._over(leaves), axes)

    def _inner(self, leaves: tuple[int, ...], known: set[int]) -> tuple[int, ...]:
        """Pinned factors beside the leaves, of which a unit is chosen on the way: neighbours that are a pair."""
        solved = self.flow.solution
        found = {
            f.leaf: None
            for boxes in solved.boxes.values()
            for box in boxes
            for axis in {f.axis for f in box.factors if f.leaf in leaves}
            for f in box.factors
            if f.axis == axis and f.size > 1 and f.leaf not in known and solved.leaves[f.leaf].pinned is not None
        }
        return tuple(found)

    def _turns(self, leaf: int, spoken: Mapping[int, set[str]]) -> bool:
        """Is the leaf pinned by nothing but tables and the ops on the way?"""
        return all(
            number in spoken if number is not None else reason.startswith("constant")
            for reason, number in self.pins[leaf]
        )

    def _over(self, leaves: tuple[int, ...]) -> tuple[int, ...]:
        """The leaves that all of them are over."""
        solved = self.flow.solution.leaves
        return tuple(
            base
            for base in solved[leaves[0]].over
            if base not in leaves
            and all(solved[leaf].over.count(base) == 1 for leaf in leaves)
            and set(solved[base].over) <= set(solved[leaves[0]].over)
        )

    def _axes(
        self, path: Path, eq: Equation, operands: Sequence[Term], leaves: tuple[int, ...], sources: Sequence[int]
    ) -> tuple[Turned, ...] | None:
        """The parameter axes that queries and keys stand on, with their pairs; None if they form none."""
        weights: dict[str | None, int] = {}
        for number in sources:
            eq_in, place = path.sources[self.flow.equations[number].origin.node]
            weights[self._root(str(eq_in.terms[place].tensor))] = number
        columns = {name: _columns(self.flow.solution.boxes[name], name, leaves) for name in self._parameters(leaves)}
        if None in weights or any(own is None for own in columns.values()):
            return None
        projected = [c for name in weights for c in columns.get(str(name)) or []]
        key = (path.signature(), tuple((list(weights).index(c.tensor), c.axis, c.start, c.heads) for c in projected))
        if key not in self.known:
            self.known[key] = find_pairs(path, eq, operands, projected)
        found = self.known[key]
        if found is None:
            return None
        turned = _arranged(projected, found)
        if turned is None:
            return None
        return self._with_biases(turned, weights, columns)

    def _with_biases(
        self, turned: list[Turned], weights: Mapping[str | None, int], columns: Mapping[str, list[Column] | None]
    ) -> tuple[Turned, ...] | None:
        """What is added to a projection is turned with it; whatever else stands on these leaves is not understood."""
        axes = list(turned)
        for name, own in columns.items():
            if name in weights or own is None:
                continue
            readers = set(self.flow.readers[name])
            near = [t for t in turned if weights[t.tensor] in readers and set(t.heads) == set(own[0].heads)]
            near = [t for t in near if t.starts <= {c.start for c in own}]
            if sorted(u for t in near for u in t.starts) != sorted(c.start for c in own):
                return None
            axes += [Turned(name, own[0].axis, t.side, t.heads, t.start, t.pairs, t.stride, t.gap) for t in near]
        return tuple(axes)

    def _parameters(self, leaves: tuple[int, ...]) -> list[str]:
        boxes = self.flow.solution.boxes
        return [t for t, own in boxes.items() if any(f.leaf in leaves for box in own for f in box.factors)]

    def _root(self, tensor: str) -> str | None:
        """The parameter that a view of a weight is of."""
        while self.flow.kinds[tensor] not in ("parameter", "buffer"):
            read = {
                str(t.tensor)
                for n in self.flow.writers[tensor]
                for t in self.flow.equations[n].terms
                if t.tensor is not None and t.tensor not in self.flow.outputs[n]
            }
            if len(read) != 1:
                return None
            tensor = read.pop()
        return tensor


def _elsewhere(eq: Equation) -> bool:
    """Does it belong to another trace?"""
    return any(str(t.tensor).startswith("trace") for t in eq.terms)


def _operands(flow: Flow, number: int) -> list[Term]:
    """The two activations whose product makes scores."""
    eq = flow.equations[number]
    if eq.origin.kind == "attention":
        return list(eq.terms[:2])
    if eq.origin.kind != "contraction":
        return []
    own = flow.operands(number)
    found = [t for t in eq.terms if t.tensor in own and t.tensor not in flow.weights]
    return found if len(found) == len(eq.terms) - 1 else []


def _contracted(flow: Flow, number: int) -> list[str]:
    if flow.equations[number].origin.kind == "attention":
        return ["d"]
    a, b = _operands(flow, number)
    return [x for x in letters(a) if x in letters(b) and x not in flow.letters_out(number)]


def _role(flow: Flow, number: int, own: set[str]) -> str | None:
    """What an equation does with the leaves that it speaks of: ``scores``, ``source`` or ``path``; None if unknown."""
    eq = flow.equations[number]
    read = [t for t in eq.terms if t.tensor is not None and t.tensor not in flow.outputs[number]]
    passes = eq.origin.kind in PASSING and bool(read) and bool(flow.outputs[number])
    moving = [t for t in read if t.tensor not in flow.weights and flow.kinds[str(t.tensor)] == "activation"]
    if len(_operands(flow, number)) == 2 and own <= set(_contracted(flow, number)):
        return "scores"
    if any(isinstance(i, Window) for t in eq.terms for a in t.axes for i in a) and eq.law != "linear":
        return None
    if eq.law == "linear":
        return "path" if passes else None
    if eq.law == "product" and eq.origin.kind == "contraction":
        return "source" if len(moving) == 1 and not own & set(letters(moving[0])) else None
    tables = [t for t in read if flow.kinds[str(t.tensor)] == "constant"]
    if eq.law == "gate":
        return "path" if passes and len(moving) == 1 and len(tables) == len(read) - 1 else None
    if eq.law == "sum":
        return "path" if passes and len(moving) == len(read) and len(read) == len(eq.terms) - 1 else None
    return None


def _weight(flow: Flow, number: int, own: set[str]) -> int | None:
    """The term of the one weight that has the letters (a bias is added to what it gives)."""
    eq = flow.equations[number]
    found = [
        place
        for place, t in enumerate(eq.terms)
        if t.tensor in flow.weights and own & set(letters(t)) and place != eq.added
    ]
    return found[0] if len(found) == 1 else None


def _columns(boxes: Sequence[SolvedBox], tensor: str, leaves: tuple[int, ...]) -> list[Column] | None:
    """Every unit of the leaves on a parameter's axis; None if they stand on two axes."""
    found: dict[Column, None] = {}
    for box in boxes:
        mine = [f for f in box.factors if f.leaf in leaves]
        if not mine:
            continue
        if len({f.axis for f in mine}) > 1:
            return None
        axis = mine[0].axis
        heads = tuple((f.size, f.stride) for f in box.factors if f.axis == axis and f not in mine and f.size > 1)
        starts = np.array([box.offsets[axis]])
        for f in mine:
            starts = (starts[:, None] + np.arange(f.size) * f.stride).reshape(-1)
        found |= dict.fromkeys(Column(tensor, axis, int(s), heads) for s in starts)
    return sorted(found, key=lambda c: (c.axis, c.start))


def _arranged(columns: Sequence[Column], pairs: Pairs) -> list[Turned] | None:
    """The pairs of each side at regular places of one axis of one parameter; None if they are not."""
    found = []
    half = len(pairs) // 2
    for side, own in ((PRIMAL, pairs[:half]), (DUAL, pairs[half:])):
        firsts = [columns[a] for a, _ in own]
        gaps = {columns[b].start - columns[a].start for a, b in own}
        strides = {b.start - a.start for a, b in itertools.pairwise(firsts)} or {1}
        homes = {(columns[c].tensor, columns[c].axis, columns[c].heads) for pair in own for c in pair}
        if len(gaps) != 1 or len(strides) != 1 or len(homes) != 1:
            return None
        ((tensor, axis, heads),) = homes
        found.append(Turned(tensor, axis, side, heads, firsts[0].start, half, strides.pop(), gaps.pop()))
    return found
