"""Entries written at places that indices name: the named axis is pinned, the others go along."""

from __future__ import annotations

from graphmerge.algebra import Equation
from graphmerge.algebra.equation import AxisExpr, letter_of
from graphmerge.rules.indexing import looked_up, masked
from graphmerge.rules.labels import named
from graphmerge.rules.registry import Call, NotCovered, axis_letters, broadcast, rule


@rule("aten.one_hot", kind="look-up")
def one_hot(call: Call) -> list[Equation]:
    """``... -> ... v!``; of labels, their rows."""
    held = call.tensors[0]
    *letters, last = axis_letters(len(call.out.shape))
    axes: list[AxisExpr] = [(c,) for c in letters]
    rows = named(call, held, axes, last, call.out.shape[-1])
    terms = [(held, axes), (call.out, [*axes, (last,)]), *([rows] if rows else [])]
    return [call.terms(terms, dict(zip([*letters, last], call.out.shape)), pins=[] if rows else [last])]


@rule("aten.index_add", "aten.index_copy", kind="look-up")
def index_add(call: Call) -> list[Equation]:
    """``v! d, i, i d -> v! d``; what is copied, not added, may be written twice to one place, so i is pinned too."""
    x, held, source = call.tensors
    dim = call.arg(1, "dim") % len(x.shape)
    letters = axis_letters(len(x.shape))
    axes: list[AxisExpr] = [(c,) for c in letters]
    written = [("i",) if d == dim else a for d, a in enumerate(axes)]
    sizes = dict(zip(letters, x.shape)) | {"i": source.shape[dim]}
    rows = named(call, held, [("i",)], letters[dim], x.shape[dim])
    pins = ([] if rows else [letters[dim]]) + ([] if call.node.op.startswith("aten.index_add") else ["i"])
    terms = [(x, axes), (held, [("i",)]), (source, written), (call.out, axes), *([rows] if rows else [])]
    return [call.terms(terms, sizes, pins=pins)]


@rule("aten.scatter", "aten.scatter_add", "aten.scatter_reduce", kind="look-up")
def scatter(call: Call) -> list[Equation]:
    """``d v!, d i, d i -> d v!`` along one axis; other axes go together where the index covers them.

    Places along i are free only where entries are added up: the last of two entries for one place stays.
    """
    x, dim, held = call.arg(0, "self"), call.arg(1, "dim") % len(call.out.shape), call.arg(2, "index")
    sources = [r for r in call.tensors if r not in (x, held)]
    letters = axis_letters(len(x.shape))
    sizes, pins = dict(zip(letters, x.shape)), []
    looked: list[AxisExpr] = [(c,) for c in letters]
    for d, n in enumerate(held.shape):
        alike = all(s.shape[d] == n for s in sources)
        if d == dim or n != x.shape[d] or not alike:
            sizes[f"i{d}"] = n
            looked[d] = (f"i{d}",)
            if d != dim or not alike or not call.node.op.startswith("aten.scatter_add"):
                pins += [f"i{d}"] + ([letters[d]] if d != dim else [])
    axes: list[AxisExpr] = [(c,) for c in letters]
    terms = [(x, axes), (held, looked), (call.out, axes)]
    rows = named(call, held, looked, letters[dim], x.shape[dim])
    terms += [rows] if rows else []
    pins += [] if rows else [letters[dim]]
    for source in sources:
        own = [a if s == h else (f"s{d}",) for d, (a, s, h) in enumerate(zip(looked, source.shape, held.shape))]
        sizes |= {f"s{d}": n for d, n in enumerate(source.shape)}
        pins += [f"s{d}" for d in range(len(own))]
        terms.append((source, own))
    return [call.terms(terms, sizes, pins=pins)]


@rule("aten.index_put", kind="look-up")
def index_put(call: Call) -> list[Equation]:
    """``a v! d, i, a i d -> a v! d`` with the values broadcast; places along i are free where entries are added up.

    Where a mask chooses and all places get one value, mask and places move together.
    """
    x, indices, values = call.arg(0, "self"), call.arg(1, "indices"), call.arg(2, "values")
    where = [d for d, i in enumerate(indices) if i is not None]
    if len(where) == 1 and (mask := indices[where[0]]).truth:
        after = len(x.shape) - len(mask.shape) - where[0]  # axes behind those that the mask covers
        many = values.shape[-1 - after] if len(values.shape) > after else 1
        axes, read, held, sizes, pins = masked(x, mask, where[0], (*x.shape[: where[0]], many))
        pins = pins if many > 1 else []
    else:
        axes, read, held, sizes, pins = looked_up(call, x, indices)
        if not call.arg(3, "accumulate", False):
            apart = {letter_of(i) for axis in axes for i in axis}  # no two values are written to one unit of these
            pins += [c for _, own in held for axis in own for c in map(letter_of, axis) if c not in apart]
    written = [letter_of(a[0]) for a in read]
    if len(values.shape) > len(written):
        raise NotCovered("values of more axes than they are written to")
    terms = [(x, axes), *held, (values, broadcast(values, written, sizes)), (call.out, axes)]
    return [call.terms(terms, sizes, pins=pins)]


@rule("aten.masked_scatter", kind="look-up")
def masked_scatter(call: Call) -> list[Equation]:
    """``t! d, t!, n! d -> t! d``: the entries of the source one after the other, where the mask is true.

    Only where the mask was spread out along the last axes are whole rows written; else every axis is pinned.
    """
    x, mask, source = call.tensors
    letters = axis_letters(len(x.shape))
    own = letters[len(letters) - len(mask.shape) :]
    rows = 0  # last axes that mask and source both have whole
    while rows < min(len(mask.shape), len(source.shape)):
        last = -1 - rows
        if source.shape[last] != x.shape[last] or mask.shape[last] not in (1, x.shape[last]):
            break
        if mask.shape[last] > 1 and len(mask.shape) + last not in mask.alike:
            break
        rows += 1
    free = letters[len(letters) - rows :]
    before = [f"s{d}" for d in range(len(source.shape) - rows)]
    sizes = dict(zip(letters, x.shape)) | dict(zip(before, source.shape))
    seen: list[AxisExpr] = []
    for d, (letter, n) in enumerate(zip(own, mask.shape)):
        sizes[f"m{letter}"] = n
        seen.append((f"m{letter}",) if letter in free or d in mask.alike else (letter,) if n == sizes[letter] else ())
    axes: list[AxisExpr] = [(c,) for c in letters]
    terms = [(x, axes), (mask, seen), (source, [(c,) for c in (*before, *free)]), (call.out, axes)]
    return [call.terms(terms, sizes, pins=[*before, *(c for c in letters if c not in free)])]


@rule("aten.nonzero", kind="look-up")
def nonzero(call: Call) -> list[Equation]:
    """Indices name units: everything is pinned."""
    return call.pin_all([*call.tensors, *call.node.outputs], f"{call.reason}: its indices name units")
