"""Axes renamed, split, joined, repeated: nothing is computed."""

from __future__ import annotations

import itertools
import math

import numpy as np

from graphmerge.algebra import Equation
from graphmerge.algebra.equation import AxisExpr
from graphmerge.rules.aliases import plain_name
from graphmerge.rules.registry import Call, NotCovered, Ref, axis_letters, pin_tensor, rule


@rule(
    *(f"aten.{n}" for n in ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze")),
    *(f"aten.{n}" for n in ("view_as", "reshape_as", "ravel", "_reshape_alias", "atleast_1d", "atleast_2d")),
    kind="view",
)
def view(call: Call) -> list[Equation]:
    """Row-major: ``b t (h d) -> b t h d``. The letters are what both shapes refine to."""
    x = call.tensors[0]
    return [] if 0 in x.shape else view_equations(call, x, call.out)


def view_equations(call: Call, x: Ref, out: Ref) -> list[Equation]:
    """Walk both shapes until their products agree; in each such run, cut at the strides of both sides.

    Strides that do not divide each other have no common factors: those axes are pinned.
    """
    mine: list[AxisExpr] = [()] * len(x.shape)
    theirs: list[AxisExpr] = [()] * len(out.shape)
    sizes: dict[str, int] = {}
    pins: list[str] = []
    for here, there in _runs(x.shape, out.shape):
        factors = _refine([x.shape[a] for a in here], [out.shape[a] for a in there])
        if factors is None:
            for side, axes, shape in ((mine, here, x.shape), (theirs, there, out.shape)):
                for axis in axes:
                    letter = f"p{len(sizes)}"
                    sizes[letter] = shape[axis]
                    side[axis] = (letter,)
                    pins.append(letter)
            continue
        letters = [f"x{len(sizes) + k}" for k in range(len(factors))]
        sizes |= dict(zip(letters, factors))
        for side, axes, shape in ((mine, here, x.shape), (theirs, there, out.shape)):
            rest = list(zip(letters, factors))
            for axis in axes:
                side[axis], rest = _take(shape[axis], rest)
    return [call.terms([(x, mine), (out, theirs)], sizes, pins=pins)]


def _runs(xs: tuple[int, ...], ys: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Axes on both sides whose sizes multiply to the same; axes of size 1 are left out."""
    left = [a for a, n in enumerate(xs) if n != 1]
    right = [a for a, n in enumerate(ys) if n != 1]
    runs: list[tuple[list[int], list[int]]] = []
    while left or right:
        if not left or not right:
            raise NotCovered(f"shapes {xs} and {ys}")
        here, there = [left.pop(0)], [right.pop(0)]
        while (a := math.prod(xs[i] for i in here)) != (b := math.prod(ys[i] for i in there)):
            source, run = (left, here) if a < b else (right, there)
            if not source:
                raise NotCovered(f"shapes {xs} and {ys}")
            run.append(source.pop(0))
        runs.append((here, there))
    return runs


def _refine(xs: list[int], ys: list[int]) -> list[int] | None:
    """Factors, outermost first, that both sides are products of; None if there are none."""
    total = math.prod(xs)
    strides = {total, 1}
    for side in (xs, ys):
        inner = total
        for size in side:
            inner //= size
            strides.add(inner)
    chain = sorted(strides, reverse=True)
    if any(a % b for a, b in itertools.pairwise(chain)):
        return None
    return [a // b for a, b in itertools.pairwise(chain)]


def _take(size: int, factors: list[tuple[str, int]]) -> tuple[AxisExpr, list[tuple[str, int]]]:
    """The letters that make up the first ``size`` units."""
    taken: list[str] = []
    while size > 1:
        letter, length = factors[0]
        taken.append(letter)
        size //= length
        factors = factors[1:]
    return tuple(taken), factors


@rule("aten.pixel_shuffle", "aten.pixel_unshuffle", kind="view")
def pixel_shuffle(call: Call) -> list[Equation]:
    """``a (c k l) x y -> a c (x k) (y l)``, and back: a square of pixels for so many channels."""
    x, name = call.tensors[0], plain_name(call.node.op)
    deep, wide = (x, call.out) if name == "pixel_shuffle" else (call.out, x)
    own = axis_letters(len(x.shape) - 3)
    sizes = dict(zip([*own, "c", "x", "y"], [*wide.shape[:-2], *deep.shape[-2:]]))
    sizes |= dict.fromkeys("kl", wide.shape[-1] // deep.shape[-1])
    each: list[AxisExpr] = [(a,) for a in own]
    terms = [(deep, [*each, ("c", "k", "l"), ("x",), ("y",)]), (wide, [*each, ("c",), ("x", "k"), ("y", "l")])]
    return [call.terms(terms if deep is x else terms[::-1], sizes)]


@rule("aten.view.dtype", kind="reinterpretation")
def reinterpret(call: Call) -> list[Equation]:
    """Bits read otherwise: pinned."""
    return call.pin_all([*call.tensors, *call.node.outputs], call.reason)


@rule("aten.unfold", kind="windows")
def unfold(call: Call) -> list[Equation]:
    """``a x! b -> a y! b k!``: windows along one axis, the places in them last."""
    x = call.tensors[0]
    letters = axis_letters(len(x.shape))
    dim = call.arg(1, "dimension") % len(letters)
    sizes = dict(zip(letters, x.shape)) | {"y": call.out.shape[dim], "k": call.out.shape[-1]}
    axes: list[AxisExpr] = [(c,) for c in letters]
    out: list[AxisExpr] = [*axes[:dim], ("y",), *axes[dim + 1 :], ("k",)]
    return [call.terms([(x, axes), (call.out, out)], sizes, pins=[letters[dim], "y", "k"])]


@rule("aten.as_strided", kind="view")
def as_strided(call: Call) -> list[Equation]:
    """``a x! b -> a y! b k!``: axes that the strides step along as they lie are carried, those along which they do not
    step are copies, all others are pinned."""
    x, out = call.tensors[0], call.out
    where = _places(call, x)
    letters, found = axis_letters(len(x.shape)), [f"y{d}" for d in range(len(out.shape))]
    for axis, size in enumerate(x.shape):
        for d in (d for d, n in enumerate(out.shape) if n == size):
            steps = np.arange(size).reshape([-1 if k == d else 1 for k in range(len(out.shape))])
            others = (w for k, w in enumerate(where) if k != axis)
            if (where[axis] == steps).all() and all((w == w.take([0], d)).all() for w in others):
                found[d] = letters[axis]
    sizes = dict(zip(letters, x.shape)) | dict(zip(found, out.shape))
    copies = {c for d, c in enumerate(found) if all((w == w.take([0], d)).all() for w in where)}
    pins = [c for c in (*letters, *found) if (c not in letters or c not in found) and c not in copies]
    return [call.terms([(x, [(c,) for c in letters]), (out, [(c,) for c in found])], sizes, pins=pins)]


def _places(call: Call, x: Ref) -> list[np.ndarray]:
    """For each axis of ``x`` its unit, for every entry that is read, in the shape of the result.

    Raises:
        NotCovered: memory that is not ``x``'s, or in which entries of ``x`` coincide.
    """
    if x.strides is None or call.arg(3, "storage_offset") is not None:
        raise NotCovered("where the tensor lies in memory is not known")
    lies = _addresses(x.shape, x.strides)
    read = _addresses(call.out.shape, call.arg(2, "stride"))
    numbers = np.full(max(int(lies.max(initial=0)), int(read.max(initial=0))) + 1, -1)
    numbers[lies] = np.arange(lies.size).reshape(lies.shape)
    if (numbers >= 0).sum() != lies.size or (numbers[read] < 0).any():
        raise NotCovered("memory that is not the tensor's alone")
    return list(np.unravel_index(numbers[read], x.shape)) if x.shape else []


def _addresses(shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    total = np.zeros(shape, dtype=np.int64)
    for d, (n, stride) in enumerate(zip(shape, strides)):
        total += (np.arange(n) * stride).reshape([-1 if k == d else 1 for k in range(len(shape))])
    return total


def _moved(call: Call, order: list[int]) -> list[Equation]:
    """``order[k]`` is the input axis that output axis k is."""
    x = call.tensors[0]
    letters = axis_letters(len(x.shape))
    axes: list[AxisExpr] = [(c,) for c in letters]
    return [call.terms([(x, axes), (call.out, [axes[d] for d in order])], dict(zip(letters, x.shape)))]


@rule("aten.permute", kind="permute")
def permute(call: Call) -> list[Equation]:
    rank = len(call.out.shape)
    return _moved(call, [d % rank for d in call.arg(1, "dims")])


@rule("aten.transpose", "aten.swapaxes", "aten.swapdims", kind="permute")
def transpose(call: Call) -> list[Equation]:
    rank = len(call.out.shape)
    order = list(range(rank))
    a, b = call.arg(1, "dim0") % rank, call.arg(2, "dim1") % rank
    order[a], order[b] = order[b], order[a]
    return _moved(call, order)


@rule("aten.t", "aten.numpy_T", "aten.mT", "aten.mH", "aten.adjoint", "aten.matrix_H", kind="permute")
def reverse(call: Call) -> list[Equation]:
    """``t`` and ``numpy_T`` reverse all axes, the others the last two."""
    rank = len(call.out.shape)
    order = list(range(rank))
    if call.node.op.split(".")[1] in ("t", "numpy_T"):
        return _moved(call, order[::-1])
    return _moved(call, [*order[:-2], rank - 1, rank - 2])


@rule("aten.movedim", "aten.moveaxis", kind="permute")
def movedim(call: Call) -> list[Equation]:
    rank = len(call.out.shape)
    source, target = (a if isinstance(a, tuple) else (a,) for a in (call.arg(1, "source"), call.arg(2, "destination")))
    source, target = [d % rank for d in source], [d % rank for d in target]
    rest = iter(d for d in range(rank) if d not in source)
    return _moved(call, [source[target.index(k)] if k in target else next(rest) for k in range(rank)])


@rule("aten.expand", "aten.broadcast_to", "aten.expand_as", kind="expand")
def expand(call: Call) -> list[Equation]:
    """``b k 1 t -> b k g t``: a letter that only the right side has."""
    x = call.tensors[0]
    letters = axis_letters(len(call.out.shape))
    sizes = dict(zip(letters, call.out.shape))
    own = letters[len(letters) - len(x.shape) :]
    axes: list[AxisExpr] = [(c,) if n == sizes[c] else () for c, n in zip(own, x.shape)]
    return [call.terms([(x, axes), (call.out, [(c,) for c in letters])], sizes)]


@rule("aten.repeat", "aten.tile", kind="expand")
def repeat(call: Call) -> list[Equation]:
    """``k -> (g k)`` for each axis."""
    x = call.tensors[0]
    rank = len(call.out.shape)
    letters, copies = axis_letters(rank), [f"g{k}" for k in range(rank)]
    shape = (1,) * (rank - len(x.shape)) + x.shape
    sizes = dict(zip(letters, shape)) | {g: out // n for g, out, n in zip(copies, call.out.shape, shape)}
    own: list[AxisExpr] = [(c,) for c in letters[rank - len(x.shape) :]]
    return [call.terms([(x, own), (call.out, list(zip(copies, letters)))], sizes)]


@rule("aten.repeat_interleave", kind="expand")
def repeat_interleave(call: Call) -> list[Equation]:
    """``k -> (k g)`` along one axis."""
    x, times, dim = call.tensors[0], call.arg(1, "repeats"), call.arg(2, "dim")
    if dim is None and len(x.shape) != 1:
        raise NotCovered("a flattened input")
    dim = dim or 0
    letters = axis_letters(len(x.shape))
    axes: list[AxisExpr] = [(c,) for c in letters]
    out = list(axes)
    if isinstance(times, Ref):  # each unit as often as it says: units and copies are pinned
        along = letters[dim % len(axes)]
        out[dim % len(axes)] = ("y",)
        sizes = dict(zip(letters, x.shape)) | {"y": call.out.shape[dim]}
        terms = [(x, axes), (times, [(along,)] if times.shape == (sizes[along],) else [()]), (call.out, out)]
        return [call.terms(terms, sizes, pins=[along, "y"])]
    out[dim % len(axes)] = (letters[dim % len(axes)], "g")
    return [call.terms([(x, axes), (call.out, out)], dict(zip(letters, x.shape)) | {"g": times})]


@rule("aten.view_as_complex", "aten.view_as_real", kind="view")
def complex_view(call: Call) -> list[Equation]:
    """``... n c! -> ... n`` with c the two parts, and back."""
    x = call.tensors[0]
    whole, short = (x, call.out) if len(x.shape) > len(call.out.shape) else (call.out, x)
    letters = [*axis_letters(len(short.shape)), "c"]
    terms = [(whole, [(c,) for c in letters]), (short, [(c,) for c in letters[:-1]])]
    return [call.terms(terms, dict(zip(letters, whole.shape)), pins=["c"])]


@rule("aten.diagonal", kind="view")
def diagonal(call: Call) -> list[Equation]:
    """Two axes read as one: both pinned."""
    x = call.tensors[0]
    return [pin_tensor(x, call.reason, call.origin), pin_tensor(call.out, "diagonal", call.origin)]
