"""Stage 2: boxes and leaves.

Choosing one segment in every sum divides a tensor into boxes; in a box, each axis is a product of factors. An
*occurrence* is one factor of one axis in one box of one tensor. Equations tie occurrences: a leaf is a class of them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from graphmerge.algebra.choices import LetterKey
from graphmerge.algebra.equation import AxisExpr, Equation, System, Tensor, Window, array_varies, letter_of
from graphmerge.algebra.patterns import Options, Pattern, Patterns
from graphmerge.algebra.settle import settle_unread
from graphmerge.algebra.structure import Choice, Conflict, Structures
from graphmerge.algebra.whole import fitting, uncut


@dataclass(slots=True)
class Box:
    """One box of a tensor. Its occurrences are ``first .. first + count``, over all axes in order."""

    tensor: str
    choices: tuple[int, ...]
    first: int
    sizes: tuple[int, ...]
    axes: tuple[int, ...]  # the axis of each occurrence
    touched: bool = False  # does any equation speak of it?


@dataclass(slots=True)
class Instance:
    """An equation with one choice for each of its letters: for each term its box and the letter of each occurrence."""

    equation: int
    choice: dict[str, int]
    boxes: list[int]
    letters: tuple[tuple[LetterKey | None, ...], ...]  # one object for all instances that are alike


@dataclass
class Leaves:
    """Occurrences, ties and pins of a whole system."""

    system: System
    structures: Structures = field(default_factory=Structures)
    axis_nodes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    letter_nodes: list[dict[str, int]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    box_of: dict[tuple[str, tuple[int, ...]], int] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    occurrence_box: list[int] = field(default_factory=list)
    pins: dict[int, tuple[str, int | None]] = field(default_factory=dict)  # occurrence -> reason, equation
    misfits: list[tuple[int, int, int, str]] = field(default_factory=list)  # equation, term, axis: no common structure
    _parent: list[int] = field(default_factory=list)
    _patterns: Patterns = field(default_factory=Patterns)
    _options: dict[str, list[Options]] = field(default_factory=dict)  # choices of each axis, once stage 1 is done

    @classmethod
    def of(cls, system: System) -> Leaves:
        """Run both stages, the first again for as long as axes do not fit or fall into too many parts (`whole`)."""
        leaves = cls(system)
        leaves._unify_structures()
        fewer = fitting(system, leaves.misfits)
        if fewer is None:
            fewer = uncut(system, leaves.structures, leaves.letter_nodes, leaves.axis_nodes)
        if fewer is not None:
            return cls.of(fewer)
        leaves._divide()
        return leaves

    # -- stage 1 -----------------------------------------------------------------------------------------------------

    def _unify_structures(self) -> None:
        for tensor in self.system.tensors.values():
            self.axis_nodes[tensor.name] = tuple(self.structures.atom(n) for n in tensor.shape)
        for number, eq in enumerate(self.system.equations):
            nodes = {letter: self.structures.atom(size) for letter, size in eq.sizes.items()}
            self.letter_nodes.append(nodes)
            for place, term in enumerate(eq.terms):
                if term.tensor is None:
                    self._add_virtual(number, place, eq)
                for axis, (node, expr) in enumerate(zip(self.axis_nodes[self.term_tensor(number, place)], term.axes)):
                    if not expr:
                        continue
                    try:
                        self.structures.unify(node, self._expression(expr, nodes))
                    except Conflict as conflict:
                        self.misfits.append((number, place, axis, f"conflict: {conflict}"))

    def _add_virtual(self, number: int, place: int, eq: Equation) -> None:
        axes = eq.terms[place].axes
        shape = tuple(math.prod(eq.sizes[letter_of(i)] for i in a) for a in axes)
        tensor = Tensor(self.term_tensor(number, place), shape, "virtual")
        self.system.add(tensor)
        self.axis_nodes[tensor.name] = tuple(self.structures.atom(n) for n in shape)

    def term_tensor(self, number: int, place: int) -> str:
        """The tensor of a term; virtual terms have one of their own."""
        return self.system.equations[number].terms[place].tensor or f"virtual:{number}:{place}"

    def _expression(self, expr: AxisExpr, nodes: dict[str, int]) -> int:
        parts = []
        for item in expr:
            node = nodes[letter_of(item)]
            if isinstance(item, Window):
                after = item.total - item.start - self.structures.size(node)
                node = self.structures.sum([self.structures.atom(item.start), node, self.structures.atom(after)])
            parts.append(node)
        return self.structures.product(parts)

    # -- stage 2 -----------------------------------------------------------------------------------------------------

    def _divide(self) -> None:
        for tensor in [t for t in self.system.tensors.values() if t.kind in ("parameter", "buffer", "constant")]:
            self._all_boxes(tensor)
        for number in range(len(self.system.equations)):
            self._tie(number)
        self._pin_constants()
        settle_unread(self)

    def axis_choices(self, tensor: str) -> list[Options]:
        found = self._options.get(tensor)
        if found is None:
            found = self._options[tensor] = [self.structures.choices(n) for n in self.axis_nodes[tensor]]
        return found

    def _all_boxes(self, tensor: Tensor) -> None:
        for choices in itertools.product(*(range(len(c)) for c in self.axis_choices(tensor.name))):
            self.box(tensor.name, choices)

    def box(self, tensor: str, choices: tuple[int, ...]) -> int:
        """Number of a box, made on first use."""
        key = (tensor, choices)
        if key not in self.box_of:
            sizes: list[int] = []
            axes: list[int] = []
            for axis, (index, options) in enumerate(zip(choices, self.axis_choices(tensor))):
                own = [n for n, _ in options[index].factors]
                sizes += own
                axes += [axis] * len(own)
            number = len(self.boxes)
            self.boxes.append(Box(tensor, choices, len(self._parent), tuple(sizes), tuple(axes)))
            self._parent.extend(range(len(self._parent), len(self._parent) + len(sizes)))
            self.occurrence_box.extend([number] * len(sizes))
            self.box_of[key] = number
        return self.box_of[key]

    def find(self, occurrence: int) -> int:
        parent = self._parent
        while parent[occurrence] != occurrence:
            parent[occurrence] = occurrence = parent[parent[occurrence]]
        return occurrence

    def union(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            self._parent[max(a, b)] = min(a, b)

    def size(self, occurrence: int) -> int:
        box = self.boxes[self.occurrence_box[occurrence]]
        return box.sizes[occurrence - box.first]

    def _tie(self, number: int) -> None:
        eq = self.system.equations[number]
        tensors = [self.term_tensor(number, place) for place in range(len(eq.terms))]
        found: tuple[Pattern, ...] = ()
        letters = {letter: self.structures.choices(node) for letter, node in self.letter_nodes[number].items()}
        try:
            found = self._patterns.of(eq, letters, [self.axis_choices(t) for t in tensors], tensors)
        except Conflict as conflict:
            self._pin_whole(number, eq, f"conflict: {conflict}")
        for pattern in found:
            boxes = [self.box(tensor, picked) for tensor, picked in zip(tensors, pattern.boxes)]
            self.instances.append(Instance(number, pattern.choice, boxes, pattern.letters))
            first = [self.boxes[box].first for box in boxes]
            for box in boxes:
                self.boxes[box].touched = True
            for (place, dim), (other, there) in pattern.ties:
                self.union(first[place] + dim, first[other] + there)
            for letter, (place, dim) in pattern.pins:
                self.pins.setdefault(first[place] + dim, (eq.pins[letter], number))
            for place, dim in pattern.lost:
                self.pins.setdefault(first[place] + dim, ("a single unit", number))

    # -- pins --------------------------------------------------------------------------------------------------------

    def _pin_whole(self, number: int, eq: Equation, reason: str) -> None:
        """Parts that do not meet: nothing that this equation touches may move."""
        for place in range(len(eq.terms)):
            tensor = self.system.tensors[self.term_tensor(number, place)]
            picks = itertools.product(*(range(len(c)) for c in self.axis_choices(tensor.name)))
            for box in [self.boxes[self.box(tensor.name, picked)] for picked in picks]:
                box.touched = True
                for occurrence in range(box.first, box.first + len(box.sizes)):
                    self.pins.setdefault(occurrence, (reason, number))

    def runs(self, box: Box) -> list[Choice]:
        return [options[i] for i, options in zip(box.choices, self.axis_choices(box.tensor))]

    def values(self, box: Box) -> np.ndarray:
        """A constant's entries in one box, one dimension an occurrence."""
        value = np.asarray(self.system.tensors[box.tensor].value)
        for axis, choice in enumerate(self.runs(box)):
            units = np.full((), choice.offset)
            for size, stride in choice.factors:
                units = units[..., None] + np.arange(size) * stride
            value = value.take(units.reshape(-1), axis=axis)
        return value.reshape(box.sizes)

    def _pin_constants(self) -> None:
        """A constant pins a factor along which it varies, and no other."""
        for box in self.boxes:
            tensor = self.system.tensors[box.tensor]
            if tensor.kind != "constant" or not box.touched:
                continue
            value = self.values(box)
            for dim in [d for d in range(value.ndim) if array_varies(value, d)]:
                self.pins.setdefault(box.first + dim, (f"constant {tensor.name} varies along it", None))
