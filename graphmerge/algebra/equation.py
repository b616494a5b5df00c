"""Ops as equations over letters, in the spirit of einops: the whole vocabulary of the rules.

``b t (h d) -> b t h d`` says that a view splits one axis into two. A *term* is a tensor, its axes are products of
*items*; an item is a letter, or a window of a longer axis in which the letter lies (``before + x + after``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Window:
    """``before + letter + after``: the letter occupies ``start ..`` of ``total`` units; the rest is not meant here."""

    letter: str
    start: int
    total: int


Item = str | Window
AxisExpr = tuple[Item, ...]  # a product, outermost first; () for an axis of size 1 that has no letter


def letter_of(item: Item) -> str:
    return item if isinstance(item, str) else item.letter


def length_of(item: Item, sizes: Mapping[str, int]) -> int:
    """Units of the axis, or factor of an axis, that the item stands for."""
    return item.total if isinstance(item, Window) else sizes[item]


@dataclass(frozen=True, slots=True)
class Term:
    """A tensor with an expression for each axis. A *virtual* term (tensor None) is what an op reduces to on the way."""

    tensor: str | None
    axes: tuple[AxisExpr, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an equation comes from, for reports and explanations."""

    op: str = ""
    node: str = ""
    module: str = ""
    source: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Equation:
    """One op's statement: units of equal letters move together; pinned letters may not move.

    ``law`` says which other maps along a letter the op commutes with, ``added`` which of a product's terms is its bias;
    both matter for `Group.kind` only.
    """

    terms: tuple[Term, ...]
    sizes: Mapping[str, int]
    pins: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = Origin()
    law: str = "pointwise"
    added: int | None = None

    def shape_of(self, term: Term) -> tuple[int, ...]:
        """The shape of a term's tensor."""
        return tuple(math.prod(length_of(item, self.sizes) for item in axis) for axis in term.axes)

    def __str__(self) -> str:
        shown = [" ".join(_show(axis, self.pins) for axis in term.axes) or "1" for term in self.terms]
        real = [s for s, t in zip(shown, self.terms) if t.tensor is not None]
        virtual = [s for s, t in zip(shown, self.terms) if t.tensor is None]
        text = f"{', '.join(real[:-1])} -> {real[-1]}" if len(real) > 1 else "".join(real)
        return text + (f" | {', '.join(virtual)}" if virtual else "")


def _show(axis: AxisExpr, pins: Mapping[str, str]) -> str:
    def one(item: Item) -> str:
        name = letter_of(item) + ("!" if letter_of(item) in pins else "")
        if isinstance(item, str):
            return name
        return f"({'_ + ' if item.start else ''}{name} + _)" if item.total else name

    return "1" if not axis else one(axis[0]) if len(axis) == 1 else f"({' '.join(map(one, axis))})"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A node of the system: its shape, its kind and, for constants, its value."""

    name: str
    shape: tuple[int, ...]
    kind: str = "activation"  # parameter, buffer, activation, constant
    value: Any = None  # numpy array, constants only


@dataclass
class System:
    """All tensors and equations of one model: what `graphmerge.algebra.solve` takes."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)

    def add(self, tensor: Tensor) -> None:
        self.tensors[tensor.name] = tensor


class EquationError(ValueError):
    """An equation that does not fit the shapes it is about; always a fault of a rule."""


def equation(
    text: str,
    tensors: Sequence[str | None],
    shapes: Sequence[tuple[int, ...]],
    sizes: Mapping[str, int] | None = None,
    reason: str = "pinned by the op",
    origin: Origin = Origin(),
) -> Equation:
    """Write an equation as text.

    Terms are separated by ``,``, the result follows ``->``, virtual terms follow ``|``. Axes are separated by blanks;
    ``(h d)`` is a product, ``x!`` pins x, ``_`` an axis without a letter. ``...`` stands for as many leading axes as
    the tensor has, aligned at the right as broadcasting does. Where sizes differ, one of them is 1 and that axis is
    broadcast. ``sizes`` gives the letters of products; the other sizes follow from ``shapes`` (one for each real term).

    >>> str(equation("... i, o i -> ... o", ["x", "w", "y"], [(2, 3), (5, 3), (2, 5)]))
    '.0 i, o i -> .0 o'
    """
    main, _, virtual = text.partition("|")
    patterns = [p.split() for p in _tokens(main.replace("->", ","))]
    if len(patterns) != len(tensors):
        raise EquationError(f"{text!r} has {len(patterns)} terms for {len(tensors)} tensors")
    known: dict[str, int] = dict(sizes or {})
    pins: dict[str, str] = {}
    spelled = []
    for pattern, shape in zip(patterns, shapes):
        names = _expand(pattern, len(shape), text)
        spelled.append([_parse_axis(a, pins, reason) for a in names])
        for axis, size in zip(spelled[-1], shape):
            if len(axis) == 1 and isinstance(axis[0], str):
                known[axis[0]] = max(known.get(axis[0], 1), size)
    terms = [Term(t, _broadcast(a, s, known, text)) for t, a, s in zip(tensors, spelled, shapes)]
    for pattern in _tokens(virtual) if virtual.strip() else []:
        free = sorted((x for x in known if x.startswith(".")), key=lambda x: -int(x[1:]))
        names = [n for part in pattern.split() for n in (free if part == "..." else [part])]
        terms.append(Term(None, tuple(_parse_axis(n, pins, reason) for n in names)))
    used = {letter_of(i) for t in terms for a in t.axes for i in a}
    return Equation(
        tuple(terms),
        {x: n for x, n in known.items() if x in used},
        {x: why for x, why in pins.items() if x in used},
        origin,
    )


def _tokens(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _expand(pattern: list[str], rank: int, text: str) -> list[str]:
    """Axis texts of one term, with products joined and ``...`` replaced by ``.k`` (k counts from the right)."""
    axes: list[str] = []
    for part in pattern:
        if axes and axes[-1].startswith("(") and not axes[-1].endswith(")"):
            axes[-1] += " " + part
        else:
            axes.append(part)
    if "..." in axes:
        at = axes.index("...")
        extra = rank - (len(axes) - 1)
        axes[at : at + 1] = [f".{k}" for k in reversed(range(extra))]
    if len(axes) != rank:
        raise EquationError(f"{text!r}: term {' '.join(pattern)!r} has {len(axes)} axes, the tensor {rank}")
    return axes


def _parse_axis(text: str, pins: dict[str, str], reason: str) -> AxisExpr:
    letters = []
    for letter in text.strip("()").split():
        if letter == "_":
            continue
        if letter.endswith("!"):
            letter = letter[:-1]
            pins[letter] = reason
        letters.append(letter)
    return tuple(letters)


def _broadcast(axes: list[AxisExpr], shape: tuple[int, ...], sizes: dict[str, int], text: str) -> tuple[AxisExpr, ...]:
    out: list[AxisExpr] = []
    for axis, size in zip(axes, shape):
        length = math.prod(sizes[letter_of(i)] for i in axis)
        if length == size:
            out.append(drop_units(axis, sizes))
        elif size == 1 and len(axis) <= 1:
            out.append(())
        else:
            raise EquationError(f"{text!r}: axis {axis} has length {length}, the tensor {size}")
    return tuple(out)


def drop_units(axis: AxisExpr, sizes: Mapping[str, int]) -> AxisExpr:
    """Letters of size 1 carry nothing inside a product."""
    if len(axis) <= 1:
        return axis
    kept = tuple(i for i in axis if isinstance(i, Window) or sizes[i] != 1)
    return kept or axis[:1]


def array_varies(value: np.ndarray, dim: int) -> bool:
    """Does ``value`` change along ``dim``? NaNs are equal to each other."""
    if not value.size:
        return False
    first = value.take([0], axis=dim)
    same = value == first
    if value.dtype.kind in "fc":
        same |= np.isnan(value) & np.isnan(first)
    return not bool(same.all())
