"""Axes that the structure of the others does not fit, or that it cuts into too many parts: left whole, and pinned.

A view that runs across a cut (the shift of relative positions, padding to full chunks) has no common refinement with
it. Only that axis is given up: it gets a letter of its own, pinned as all letters are that it was spelled with.

A loop that writes a matrix of 64 positions row by row cuts both of its axes into 64 parts: 4,096 boxes for each tensor,
and 262,144 joint choices for each product of two. Positions are pinned anyway. So the windows of such axes are taken
out of the equations: the whole axis and the part get a pinned letter each, and all other letters stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from graphmerge.algebra.equation import AxisExpr, Equation, Item, System, Term, Window, length_of, letter_of
from graphmerge.algebra.structure import Structures

MANY: Final = 256  # joint choices of the letters of one equation
FEW: Final = 8  # an axis of fewer parts is never the reason
REASON: Final = "cut into too many parts"

Nodes = dict[str, tuple[int, ...]]  # of each tensor, for each axis


def uncut(system: System, structures: Structures, letters: list[dict[str, int]], axes: Nodes) -> System | None:
    """The same system without the windows of axes that shatter it; None if there are none.

    Args:
        system: tensors and equations.
        structures: the outcome of stage 1.
        letters: the node of every letter, by equation.
        axes: the node of every axis of every tensor.
    """
    given_up = {root for eq in letters for root in _shattering(structures, eq)}
    if not given_up:
        return None
    changed = False
    equations = []
    for number, eq in enumerate(system.equations):
        places = [
            (place, axis)
            for place, term in enumerate(eq.terms)
            if term.tensor is not None
            for axis, expr in enumerate(term.axes)
            if any(isinstance(i, Window) for i in expr)
            and given_up & set(_roots(structures, axes[term.tensor][axis], expr, letters[number]))
        ]
        changed = changed or bool(places)
        equations.append(_without_windows(eq, set(places)) if places else eq)
    return System(system.tensors, equations) if changed else None


def fitting(system: System, misfits: Sequence[tuple[int, int, int, str]]) -> System | None:
    """The same system with these axes (equation, term, axis, reason) spelled by pinned letters; None if there are none.

    What an equation says holds for any permutations of its letters, so also for those that leave some of them alone.
    """
    if not misfits:
        return None
    equations = list(system.equations)
    for number in {m[0] for m in misfits}:
        places = {(place, axis): reason for n, place, axis, reason in misfits if n == number}
        equations[number] = _given_up(equations[number], places)
    return System(system.tensors, equations)


def _given_up(eq: Equation, places: Mapping[tuple[int, int], str]) -> Equation:
    sizes, pins = dict(eq.sizes), dict(eq.pins)

    def whole(expr: AxisExpr, place: int, axis: int) -> AxisExpr:
        reason = places.get((place, axis))
        if reason is None:
            return expr
        letter = f"whole:{place}:{axis}"
        sizes[letter] = math.prod(length_of(item, eq.sizes) for item in expr)
        pins.update(dict.fromkeys([letter, *(letter_of(item) for item in expr)], reason))
        return (letter,)

    return _spelled(eq, [[whole(e, p, a) for a, e in enumerate(t.axes)] for p, t in enumerate(eq.terms)], sizes, pins)


def _spelled(
    eq: Equation, axes: Sequence[Sequence[AxisExpr]], sizes: Mapping[str, int], pins: Mapping[str, str]
) -> Equation:
    """The equation with other expressions for its axes."""
    terms = tuple(Term(t.tensor, tuple(own)) for t, own in zip(eq.terms, axes))
    used = {letter_of(i) for t in terms for e in t.axes for i in e}
    return replace(
        eq,
        terms=terms,
        sizes={x: n for x, n in sizes.items() if x in used},
        pins={x: why for x, why in pins.items() if x in used},
    )


def _shattering(structures: Structures, nodes: dict[str, int]) -> Iterator[int]:
    """Structures of one equation's letters that have most of its too many choices."""
    counts = {node: len(structures.choices(node)) for node in nodes.values()}
    total = math.prod(len(structures.choices(node)) for node in nodes.values())
    if total <= MANY:
        return
    most = max(counts.values())
    yield from (structures.find(node) for node, n in counts.items() if n > FEW and 2 * n >= most)


def _roots(structures: Structures, axis: int, expr: AxisExpr, letters: dict[str, int]) -> Iterator[int]:
    """Of the axis itself, and of what its windows look at."""
    yield structures.find(axis)
    yield from (structures.find(letters[i.letter]) for i in expr if isinstance(i, Window))


def _without_windows(eq: Equation, places: set[tuple[int, int]]) -> Equation:
    sizes, pins = dict(eq.sizes), dict(eq.pins)

    def whole(item: Item, place: int, axis: int) -> Item:
        if not isinstance(item, Window):
            return item
        letter = f"{letter_of(item)}:{place}:{axis}"
        sizes[letter] = item.total
        pins[letter] = pins[item.letter] = REASON
        return letter

    axes = [
        [tuple(whole(i, p, a) for i in e) if (p, a) in places else e for a, e in enumerate(t.axes)]
        for p, t in enumerate(eq.terms)
    ]
    return _spelled(eq, axes, sizes, pins)
