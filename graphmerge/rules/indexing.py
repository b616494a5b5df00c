"""Parts of axes: slices, joins, and look-ups."""

from __future__ import annotations

import numpy as np

from graphmerge.algebra import Equation, Window
from graphmerge.algebra.equation import AxisExpr
from graphmerge.rules.labels import named
from graphmerge.rules.registry import Call, NotCovered, Ref, axis_letters, broadcast, rule


def _sizes(ref: Ref) -> tuple[list[str], list[AxisExpr], dict[str, int]]:
    letters = axis_letters(len(ref.shape))
    return letters, [(x,) for x in letters], dict(zip(letters, ref.shape))


def windowed(call: Call, whole: Ref, part: Ref, dim: int, start: int) -> Equation:
    """``a + x + c`` on one axis of ``whole`` is x in ``part``."""
    letters, axes, sizes = _sizes(whole)
    total, sizes[letters[dim]] = whole.shape[dim], part.shape[dim]
    outer = list(axes)
    if total != part.shape[dim]:
        outer[dim] = (Window(letters[dim], start, total),)
    return call.terms([(whole, outer), (part, axes)], sizes)


@rule("aten.slice", "aten.narrow", kind="slice")
def slice_(call: Call) -> list[Equation]:
    """``b t (a + x + c) -> b t x``; with a step, the selected inner factor of a product."""
    x = call.tensors[0]
    if 0 in call.out.shape:
        return []
    if call.node.op.startswith("aten.narrow"):
        return [
            windowed(
                call, x, call.out, call.arg(1, "dim") % len(x.shape), call.arg(2, "start") % x.shape[call.arg(1, "dim")]
            )
        ]
    dim = call.arg(1, "dim", 0) % len(x.shape)
    start, _, step = slice(call.arg(2, "start"), call.arg(3, "end"), call.arg(4, "step", 1)).indices(x.shape[dim])
    if step == 1 or call.out.shape[dim] == 1:
        return [windowed(call, x, call.out, dim, start)]
    return [_strided(call, x, dim, start, step)]


def _strided(call: Call, x: Ref, dim: int, start: int, step: int) -> Equation:
    letters, axes, sizes = _sizes(x)
    if start >= step or x.shape[dim] != step * call.out.shape[dim]:
        raise NotCovered(f"units {start}::{step} of {x.shape[dim]}")
    sizes[letters[dim]] = call.out.shape[dim]
    inner = list(axes)
    inner[dim] = (letters[dim], Window("s", start, step))
    return call.terms([(x, inner), (call.out, axes)], sizes | {"s": 1})


@rule("aten.select", kind="slice")
def select(call: Call) -> list[Equation]:
    """``b (a + x + c) -> b`` with x one unit."""
    x = call.tensors[0]
    dim = call.arg(1, "dim") % len(x.shape)
    return [_unit(call, x, call.out, dim, call.arg(2, "index") % x.shape[dim])]


def _unit(call: Call, whole: Ref, part: Ref, dim: int, index: int) -> Equation:
    letters, axes, sizes = _sizes(whole)
    sizes[letters[dim]] = 1
    outer = list(axes)
    outer[dim] = (Window(letters[dim], index, whole.shape[dim]),) if whole.shape[dim] > 1 else ()
    return call.terms([(whole, outer), (part, [a for d, a in enumerate(axes) if d != dim])], sizes)


@rule("aten.unbind", kind="slice")
def unbind(call: Call) -> list[Equation]:
    x = call.tensors[0]
    dim = call.arg(1, "dim", 0) % len(x.shape)
    return [_unit(call, x, out, dim, k) for k, out in enumerate(call.node.outputs)]


@rule(
    *(f"aten.{n}" for n in ("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk")),
    kind="slice",
)
def split(call: Call) -> list[Equation]:
    """One window an output."""
    x = call.tensors[0]
    dim = call.arg(2, "dim", 0) % len(x.shape)
    starts = np.cumsum([0, *(out.shape[dim] for out in call.node.outputs)])
    if starts[-1] != x.shape[dim]:
        raise NotCovered("the parts do not make up the axis")
    pairs = zip(call.node.outputs, starts.tolist())
    return [windowed(call, x, out, dim, start) for out, start in pairs if 0 not in out.shape]


@rule("aten.glu", kind="elementwise")
def glu(call: Call) -> list[Equation]:
    """``f + f -> f``: each half is a term."""
    x = call.tensors[0]
    dim = call.arg(1, "dim", -1) % len(x.shape)
    letters, axes, sizes = _sizes(call.out)
    halves = [list(axes), list(axes)]
    for half, start in zip(halves, (0, call.out.shape[dim])):
        half[dim] = (Window(letters[dim], start, x.shape[dim]),)
    return [call.terms([(x, halves[0]), (x, halves[1]), (call.out, axes)], sizes)]


@rule("aten.cat", "aten.concat", "aten.concatenate", kind="cat")
def cat(call: Call) -> list[Equation]:
    """One equation a part: ``b t x -> b t (a + x + c)``."""
    parts = [r for r in call.tensors if 0 not in r.shape]
    dim = call.arg(1, "dim", 0) % len(call.out.shape)
    starts = np.cumsum([0, *(p.shape[dim] for p in parts)]).tolist()
    return [windowed(call, call.out, part, dim, start) for part, start in zip(parts, starts)]


@rule("aten.stack", kind="cat")
def stack(call: Call) -> list[Equation]:
    dim = call.arg(1, "dim", 0) % len(call.out.shape)
    return [_unit(call, call.out, part, dim, k) for k, part in enumerate(call.tensors)]


@rule("aten.constant_pad_nd", "aten.pad", kind="cat")
def pad(call: Call) -> list[Equation]:
    """The input is a window of the output, axis by axis; what is added is constant."""
    x, widths = call.tensors[0], call.arg(1, "pad")
    if call.node.op.startswith("aten.pad") and call.arg(2, "mode", "constant") != "constant":
        raise NotCovered("a mode that is not constant")
    letters, axes, sizes = _sizes(x)
    outer, inner = list(axes), list(axes)
    for k in range(len(widths) // 2):
        dim, before, after = len(letters) - 1 - k, widths[2 * k], widths[2 * k + 1]
        cut = x.shape[dim] + min(before, 0) + min(after, 0)
        sizes[letters[dim]] = cut
        if before < 0 or after < 0:
            inner[dim] = (Window(letters[dim], max(-before, 0), x.shape[dim]),)
        if before > 0 or after > 0:
            outer[dim] = (Window(letters[dim], max(before, 0), call.out.shape[dim]),)
    return [call.terms([(x, inner), (call.out, outer)], sizes)]


@rule("aten.embedding", kind="look-up")
def embedding(call: Call) -> list[Equation]:
    """``v! d, ... -> ... d``; of labels, ``v d, ... v -> ... d``."""
    weight, ids = call.tensors
    if (rows := call.rows(ids)) is not None and rows.shape[-1] == weight.shape[0]:
        return [call.write("v d, ... v, ... -> ... d", [weight, rows, ids, call.out])]
    return [call.write("v! d, ... -> ... d", [weight, ids, call.out])]


@rule("aten.index", kind="look-up")
def index(call: Call) -> list[Equation]:
    """One run of axes is looked up: ``a v! d, i -> a i d``. Axes that are not indexed stay; indexed ones are pinned.

    A constant run of consecutive units on one axis is a slice.
    """
    x, indices = call.arg(0, "self"), call.arg(1, "indices")
    where = [d for d, i in enumerate(indices) if i is not None]
    if (start := _consecutive(call, x, indices, where)) is not None:
        return [windowed(call, x, call.out, where[0], start)]
    if len(where) == 1 and (mask := indices[where[0]]) is not None and mask.truth:
        axes, chosen, held, sizes, pins = masked(x, mask, where[0], call.out.shape)
        return [call.terms([(x, axes), (call.out, chosen), *held], sizes, pins=pins)]
    axes, read, held, sizes, pins = looked_up(call, x, indices)
    return [call.terms([(x, axes), (call.out, read), *held], sizes, pins=pins)]


Terms = list[tuple[Ref, list[AxisExpr]]]


def looked_up(
    call: Call, x: Ref, indices: tuple[Ref | None, ...]
) -> tuple[list[AxisExpr], list[AxisExpr], Terms, dict[str, int], list[str]]:
    """Axes of ``x``, axes of ``x[indices]``, the indices as terms, sizes, and the letters that are looked up: pinned,
    but for those that labels name.

    The axes of the indices come where the indexed ones were; first, if those were not neighbours.

    Raises:
        NotCovered: no index, or a mask selects.
    """
    where = [d for d, i in enumerate(indices) if i is not None]
    if not where:
        raise NotCovered("no axis is indexed")
    given = [i for i in indices if i is not None]
    if any(_is_mask(call, i) for i in given):
        raise NotCovered("a mask that selects entries")
    letters, axes, sizes = _sizes(x)
    looked = [f"i{k}" for k in range(max(len(i.shape) for i in given))]
    for i in given:
        for letter, n in zip(looked[len(looked) - len(i.shape) :], i.shape):
            sizes[letter] = max(n, sizes.get(letter, 1))
    kept = [axis for d, axis in enumerate(axes) if d not in where]
    before = where[0] if where[-1] - where[0] == len(where) - 1 else 0
    read = [*kept[:before], *((i,) for i in looked), *kept[before:]]
    held: Terms = []
    pins = []
    for d, i in zip(where, given):
        if (letter := _enumerated(call, i, looked, x.shape[d])) is not None:
            axes[d] = (letter,)
            continue
        own = broadcast(i, looked, sizes)
        rows = named(call, i, own, letters[d], x.shape[d])
        held += [(i, own), *([rows] if rows else [])]
        pins += [] if rows else [letters[d]]
    return axes, read, held, sizes, pins


def _enumerated(call: Call, held: Ref, looked: list[str], units: int) -> str | None:
    """The letter along which a constant index is ``arange(units)``: each unit is looked up where it stands."""
    value = call.constants.get(held.name)
    if value is None or sum(n > 1 for n in value.shape) != 1 or not np.array_equal(value.reshape(-1), np.arange(units)):
        return None
    return looked[len(looked) - value.ndim + int(np.argmax(value.shape))]


def masked(
    x: Ref, mask: Ref, first: int, chosen: tuple[int, ...]
) -> tuple[list[AxisExpr], list[AxisExpr], Terms, dict[str, int], list[str]]:
    """Axes of ``x``, axes of ``x[mask]``, the mask as a term, sizes, and the letters that the mask covers: pinned.

    The mask covers the axes from ``first`` on; they become one axis of the entries that it selects.
    """
    letters, axes, sizes = _sizes(x)
    covered = letters[first : first + len(mask.shape)]
    own = [f"m{d}" if d in mask.alike else c for d, c in enumerate(covered)]
    sizes |= dict(zip(own, mask.shape)) | {"n": chosen[first]}
    read = [*axes[:first], ("n",), *axes[first + len(covered) :]]
    return axes, read, [(mask, [(c,) for c in own])], sizes, [*covered, "n"]


def _consecutive(call: Call, x: Ref, indices: tuple[Ref | None, ...], where: list[int]) -> int | None:
    """Where a constant index starts, if it names consecutive units of one axis."""
    held = indices[where[0]] if len(where) == 1 else None
    value = call.constants.get(held.name) if held is not None else None
    if value is None or value.ndim != 1 or 0 in call.out.shape:
        return None
    units = np.flatnonzero(value) if value.dtype.kind == "b" else value % x.shape[where[0]]
    return int(units[0]) if bool((np.diff(units) == 1).all()) else None


def _is_mask(call: Call, held: Ref) -> bool:
    value = call.constants.get(held.name)
    return held.truth or (value is not None and value.dtype.kind == "b")


@rule("aten.index_select", kind="look-up")
def index_select(call: Call) -> list[Equation]:
    x, held = call.tensors
    dim = call.arg(1, "dim") % len(x.shape)
    letters, axes, sizes = _sizes(x)
    out = list(axes)
    out[dim] = ("i",)
    rows = named(call, held, [("i",)], letters[dim], x.shape[dim])
    terms = [(x, axes), (held, [("i",)]), (call.out, out), *([rows] if rows else [])]
    return [call.terms(terms, sizes | {"i": held.shape[0]}, pins=[] if rows else [letters[dim]])]


@rule("aten.gather", "aten.take_along_dim", kind="look-up")
def gather(call: Call) -> list[Equation]:
    """``... v!, ... i -> ... i`` along one axis; other axes go together where the index covers them."""
    if call.node.op.startswith("aten.take"):
        x, held, dim = call.arg(0, "self"), call.arg(1, "indices"), call.arg(2, "dim")
    else:
        x, dim, held = call.arg(0, "self"), call.arg(1, "dim"), call.arg(2, "index")
    if dim is None:
        raise NotCovered("a flattened input")
    dim %= len(x.shape)
    letters, axes, sizes = _sizes(x)
    looked, pins = list(axes), []
    for d, n in enumerate(held.shape):
        if d == dim or n != x.shape[d]:
            sizes[f"i{d}"] = n
            looked[d] = (f"i{d}",)
            pins += [letters[d], f"i{d}"] if d != dim else []
    rows = named(call, held, looked, letters[dim], x.shape[dim])
    terms = [(x, axes), (held, looked), (call.out, looked), *([rows] if rows else [])]
    return [call.terms(terms, sizes, pins=pins if rows else [*pins, letters[dim]])]
