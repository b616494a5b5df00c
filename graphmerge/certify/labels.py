"""Sorting and what it chooses: ``topk`` and its like, as operations that treat all units alike.

The r-th largest of some nodes is one operation on all of them, without order. Which unit it is, is a *label*: a node
that knows, for every unit, the node of "this one is it", ``unit == r-th largest`` (ties have probability 0). A look-up
by a label is then exactly a sum: ``Σ_e [e is it] · x_e``; a label that meets any other operation is a number like any
other, which tells the units apart. Where two units are the same node the choice rests on their places; so does the
label then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.nodes import Choice, Nodes
from graphmerge.certify.scalars import Scalars, ids_of, like, unrolls


def is_label(tensor: Any) -> bool:
    """Whether a tensor holds whole numbers of which each is a label or a constant."""
    if not isinstance(tensor, Scalars):
        return False
    nodes = tensor.nodes
    return all(n in nodes.choices or n in nodes.values for n in tensor.ids.flatten().tolist())


def indicators(nodes: Nodes, node: int, units: int) -> list[int]:
    """For every unit the node of "``node`` is this one"."""
    if node in nodes.values:
        chosen = int(nodes.values[node].real)
        return [nodes.constant(float(unit == chosen)) for unit in range(units)]
    chosen = nodes.choices[node].units
    return [*chosen, *[nodes.constant(0.0)] * (units - len(chosen))]


def _ranked(nodes: Nodes, line: Sequence[int], rank: int, largest: bool) -> tuple[int, int]:
    """The node at one place of the sorted line, and its label."""
    op = ("ranked", rank, largest)
    value = nodes.apply(op, line, ordered=False)
    return value, label(nodes, line, value, op)


def label(nodes: Nodes, line: Sequence[int], value: int, op: tuple[str, int, bool]) -> int:
    """The label of the unit that has the value; ``op`` is ``("ranked", place, largest first)``."""
    if len(set(line)) == len(line):
        chosen = [nodes.apply("eq", (node, value), ordered=False) for node in line]
    else:
        chosen = [nodes.apply(("is", *op, unit), line) for unit in range(len(line))]
    made = nodes.apply("which", chosen)
    nodes.choices[made] = Choice(tuple(chosen), (int(op[2]), *sorted(line)))
    return made


def _sorted(source: Scalars, dim: int, ranks: int, largest: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids of values and labels, with the places of the sorted order on axis ``dim``."""
    nodes = source.nodes
    lines = (source.entries() if source.dim() else source.entries()[None]).movedim(dim, -1)
    pairs = [
        _ranked(nodes, line, rank, largest)
        for line in lines.reshape(-1, lines.shape[-1]).tolist()
        for rank in range(ranks)
    ]
    shape = (*lines.shape[:-1], ranks)
    values, labels = (torch.tensor(ids, dtype=torch.int64).reshape(shape).movedim(-1, dim) for ids in zip(*pairs))
    return values, labels


@unrolls(["topk"])
def topk(func: Any, source: Scalars, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The first ``k`` places of the sorted order."""
    values, labels = _sorted(source, dim, k, largest)
    return Scalars(source.nodes, values, source.dtype), Scalars(source.nodes, labels, torch.int64)


@unrolls(["sort"])
def sort(func: Any, source: Scalars, *args: Any, **kwargs: Any) -> Any:
    """All places of the sorted order."""
    names = [a.name for a in func._schema.arguments[1:] if not a.kwarg_only]
    given = dict(zip(names, args)) | kwargs
    dim = given.get("dim", -1)
    values, labels = _sorted(source, dim, source.shape[dim], bool(given.get("descending", False)))
    return Scalars(source.nodes, values, source.dtype), Scalars(source.nodes, labels, torch.int64)


@unrolls(["argmax", "argmin"])
def extreme(func: Any, source: Scalars, dim: int | None = None, keepdim: bool = False) -> Scalars:
    """The label of the first place."""
    shape = like(func, source, dim, keepdim).shape
    flat: Any = source.reshape(-1) if dim is None else source
    _, labels = _sorted(flat, -1 if dim is None else dim, 1, "argmax" in func._schema.name)
    return Scalars(source.nodes, labels.reshape(shape), torch.int64)


def look_up(source: Any, labels: Scalars, axis: int) -> Scalars:
    """``source`` with a whole axis replaced by the axes of ``labels``: ``Σ_e [e is it] · source[e]``."""
    nodes = labels.nodes
    rows = ids_of(nodes, source).movedim(axis, 0)  # (units, rest...)
    rest = rows.shape[1:]
    flat = rows.reshape(len(rows), -1).T.tolist()
    entries = labels.entries()
    picked = [
        _weighted(nodes, indicators(nodes, node, len(rows)), column)
        for node in entries.flatten().tolist()
        for column in flat
    ]
    ids = torch.tensor(picked, dtype=torch.int64).reshape(*entries.shape, *rest)
    before = list(range(entries.dim(), entries.dim() + axis))
    places = list(range(entries.dim()))
    after = list(range(entries.dim() + axis, ids.dim()))
    return Scalars(nodes, ids.permute(*before, *places, *after).contiguous(), source.dtype)


def gather(source: Any, axis: int, labels: Scalars) -> Scalars:
    """``out[.., k, ..] = Σ_e [e is labels[.., k, ..]] · source[.., e, ..]``"""
    nodes = labels.nodes
    picks = labels.entries().movedim(axis, -1)
    rows = ids_of(nodes, source).movedim(axis, -1)
    rows = rows[tuple(slice(n) for n in picks.shape[:-1])]
    lines = rows.reshape(-1, rows.shape[-1]).tolist()
    picked = [
        _weighted(nodes, indicators(nodes, node, len(line)), line)
        for line, chosen in zip(lines, picks.reshape(len(lines), -1).tolist())
        for node in chosen
    ]
    ids = torch.tensor(picked, dtype=torch.int64).reshape(picks.shape).movedim(-1, axis)
    return Scalars(nodes, ids.contiguous(), source.dtype)


def scatter(target: Any, axis: int, labels: Scalars, source: torch.Tensor, add: bool) -> Scalars:
    """``out[.., e, ..] = Σ_k [e is labels[.., k, ..]] · source[.., k, ..]``, where chosen, and added if ``add``.

    ``source`` holds ids, in the shape of the labels.

    Raises:
        CertifyError: without ``add``, two labels of one line that may choose the same unit.
    """
    nodes = labels.nodes
    wanted = labels.entries()
    rows = ids_of(nodes, target).movedim(axis, -1)
    picks = wanted.movedim(axis, -1)
    inside = tuple(slice(n) for n in picks.shape[:-1])
    lines = rows[inside].reshape(-1, rows.shape[-1]).tolist()
    given = source.expand(wanted.shape).movedim(axis, -1).reshape(len(lines), -1).tolist()
    put: list[list[int]] = []
    for line, chosen, values in zip(lines, picks.reshape(len(lines), -1).tolist(), given):
        if not add and not _disjoint(nodes, chosen):
            raise CertifyError("a scatter to places that may coincide cannot be unrolled; certify a model without it")
        columns = list(zip(*[indicators(nodes, node, len(line)) for node in chosen]))
        combine = _added if add else _replaced
        put.append([combine(nodes, old, column, values) for old, column in zip(line, columns)])
    rows = rows.clone()
    rows[inside] = torch.tensor(put, dtype=torch.int64).reshape(*picks.shape[:-1], rows.shape[-1])
    return Scalars(nodes, rows.movedim(-1, axis).contiguous(), target.dtype)


def _disjoint(nodes: Nodes, labels: Sequence[int]) -> bool:
    """Whether they cannot choose the same unit: one label, different constants, different places of one sorted line."""
    lines = {nodes.choices[n].line if n in nodes.choices else () for n in labels}
    return len(set(labels)) == len(labels) and len(lines) == 1


def _weighted(nodes: Nodes, chosen: Sequence[int], values: Sequence[int]) -> int:
    return _total(nodes, [_product(nodes, c, v) for c, v in zip(chosen, values)])


def _added(nodes: Nodes, old: int, chosen: Sequence[int], values: Sequence[int]) -> int:
    return _total(nodes, [old, *(_product(nodes, c, v) for c, v in zip(chosen, values))])


def _replaced(nodes: Nodes, old: int, chosen: Sequence[int], values: Sequence[int]) -> int:
    new = _weighted(nodes, chosen, values)
    if nodes.values.get(old) == 0:
        return new
    anyone = _total(nodes, list(chosen))
    if anyone in nodes.values:
        return new if nodes.values[anyone] else old
    return nodes.apply("where", (anyone, new, old))


def _product(nodes: Nodes, chosen: int, value: int) -> int:
    """An indicator times a value; 0 and 1 are no operation."""
    if nodes.values.get(chosen) == 1 or nodes.values.get(value) == 0:
        return value
    if nodes.values.get(value) == 1 or nodes.values.get(chosen) == 0:
        return chosen
    return nodes.times(chosen, value)


def _total(nodes: Nodes, terms: Sequence[int]) -> int:
    """A sum; zeros are none."""
    left = [t for t in terms if nodes.values.get(t) != 0]
    if not left:
        return nodes.constant(0.0)
    return left[0] if len(left) == 1 else nodes.reduce("sum", left)
