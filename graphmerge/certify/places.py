"""Ops that put entries, or add them up, at places of another tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from graphmerge.certify.labels import is_label, scatter
from graphmerge.certify.movement import by_name, fixed_places
from graphmerge.certify.nodes import Nodes
from graphmerge.certify.scalars import Scalars, ids_of, nodes_of, unrolls

# What an op calls it -> the node's (`nodes.REDUCERS`).
REDUCTIONS: Final = {"add": "sum", "sum": "sum", "multiply": "prod", "prod": "prod", "amax": "max", "amin": "min"}


@unrolls(["index_put"])
def put(func: Any, target: Any, units: Sequence[Any], values: Any, accumulate: bool = False) -> Scalars:
    """Some entries anew, or added to, at fixed places."""
    fixed_places(func, target, *units)
    nodes = nodes_of(target, values)
    if not accumulate:
        return Scalars(nodes, func(ids_of(nodes, target), units, ids_of(nodes, values)), target.dtype)
    where = torch.ops.aten.index.Tensor(_numbered(target), units)
    return _combined(nodes, target, where, ids_of(nodes, values).expand(where.shape), "sum")


@unrolls(["scatter", "select_scatter", "slice_scatter"])
def place(func: Any, target: Any, *args: Any, **kwargs: Any) -> Scalars:
    """Another tensor's entries in some places of this one."""
    nodes, given = nodes_of(target, args), by_name(func, args, kwargs)
    source = ids_of(nodes, given["src"]) if "src" in given else torch.tensor(nodes.constant(given["value"]))
    where: Any = given.get("index")
    if is_label(where) and "reduce" not in given:
        source = source if source.dim() == 0 else source[tuple(slice(n) for n in where.shape)]
        return scatter(target, given["dim"] % target.dim(), where, source, add=False)
    fixed_places(func, target, where)
    if "reduce" in given:
        return _scattered(nodes, target, given, source, REDUCTIONS[given["reduce"]])
    given |= {"src": source} if "src" in given else {"value": int(source)}
    return Scalars(nodes, func(ids_of(nodes, target), **given), target.dtype)


@unrolls(["scatter_add", "scatter_reduce"])
def place_together(func: Any, target: Any, *args: Any, **kwargs: Any) -> Scalars:
    """What lands on one place is reduced, together with what stood there if ``include_self``."""
    nodes, given = nodes_of(target, args), by_name(func, args, kwargs)
    source = ids_of(nodes, given["src"])
    how = given.get("reduce", "sum")
    if is_label(given["index"]) and how == "sum" and given.get("include_self", True):
        source = source[tuple(slice(n) for n in given["index"].shape)]
        return scatter(target, given["dim"] % target.dim(), given["index"], source, add=True)
    fixed_places(func, target, given["index"])
    if how == "mean":
        return _averaged(nodes, target, given, source)
    return _scattered(nodes, target, given, source, REDUCTIONS[how])


def _scattered(nodes: Nodes, target: Any, given: dict[str, Any], source: torch.Tensor, op: str) -> Scalars:
    where = _numbered(target).gather(given["dim"], given["index"])
    source = source.expand(where.shape) if source.dim() == 0 else source[tuple(slice(n) for n in where.shape)]
    return _combined(nodes, target, where, source, op, given.get("include_self", True))


def _averaged(nodes: Nodes, target: Any, given: dict[str, Any], source: torch.Tensor) -> Any:
    """Sums over how many there are; where nothing lands, what stood there stays."""
    where = _numbered(target).gather(given["dim"], given["index"]).flatten()
    landed = torch.bincount(where, minlength=target.numel()).reshape(target.shape)
    counts = (landed + int(given.get("include_self", True))).clamp(min=1)
    return _scattered(nodes, target, given, source, "sum") / counts


@unrolls(["index_add"])
def add_rows(func: Any, target: Any, dim: int, rows: torch.Tensor, source: Any, *, alpha: float = 1) -> Scalars:
    """``target[rows] += α source``; rows that come twice are added twice."""
    fixed_places(func, target, rows)
    nodes = nodes_of(target, source)
    where = _numbered(target).index_select(dim, rows)
    return _combined(nodes, target, where, ids_of(nodes, source if alpha == 1 else alpha * source), "sum")


@unrolls(["masked_scatter"])
def fill_mask(func: Any, target: Any, mask: Any, source: Any) -> Scalars:
    """The entries of ``source``, one after the other, where a fixed mask is true."""
    fixed_places(func, target, mask)
    nodes = nodes_of(target, source)
    shape = torch.broadcast_shapes(target.shape, mask.shape)
    return Scalars(
        nodes,
        func(ids_of(nodes, target).expand(shape).clone(), mask, ids_of(nodes, source).contiguous()),
        target.dtype,
    )


def _numbered(target: torch.Tensor) -> torch.Tensor:
    """Of every entry its number."""
    return torch.arange(target.numel()).reshape(target.shape)


def _combined(
    nodes: Nodes, target: Any, where: torch.Tensor, source: torch.Tensor, op: str, own: bool = True
) -> Scalars:
    """``target`` with the nodes of ``source`` reduced into the entries that ``where`` numbers; zeros add nothing.

    What stood in such an entry counts too, if ``own``.
    """
    ids = ids_of(nodes, target)
    landed: dict[int, list[int]] = {}
    for number, node in zip(where.flatten().tolist(), source.flatten().tolist()):
        landed.setdefault(number, []).append(node)
    new = ids.flatten().tolist()
    for number, terms in landed.items():
        together = [new[number], *terms] if own else terms
        if op == "sum":
            together = [n for n in together if nodes.values.get(n) != 0] or together[:1]
        new[number] = together[0] if len(together) == 1 else nodes.reduce(op, together)
    return Scalars(nodes, torch.tensor(new, dtype=torch.int64).reshape(ids.shape), target.dtype)
