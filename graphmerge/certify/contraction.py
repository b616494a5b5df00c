"""Sums of products, and every other reduction: one node a result, n-ary and without order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from graphmerge.certify.labels import label
from graphmerge.certify.nodes import Nodes
from graphmerge.certify.scalars import Scalars, decides, ids_of, like, nodes_of, tensor_of, unrolls

# By the name of the op, the node's (`nodes.REDUCERS`).
REDUCTIONS: Final = {
    "all": "all",
    "amax": "max",
    "amin": "min",
    "any": "any",
    "max": "max",
    "min": "min",
    "prod": "prod",
    "sum": "sum",
}
OUTSIDE: Final = -1  # in place of a node: padding


@unrolls(["mm", "bmm", "dot", "mv"])
def contract(func: Any, left: Any, right: Any) -> Scalars:
    """``... n k, ... k m -> ... n m``: products of two, and one sum of them."""
    nodes, result = nodes_of(left, right), like(func, left, right)
    a, b = ids_of(nodes, left), ids_of(nodes, right)
    a = a[None] if a.dim() == 1 else a
    b = b[:, None] if b.dim() == 1 else b
    nodes.require(result.numel())
    rows = a.unsqueeze(-2).expand(*a.shape[:-1], b.shape[-1], a.shape[-1])  # (..., n, m, k)
    columns = b.mT.unsqueeze(-3).expand(rows.shape)  # (..., n, m, k)
    return tensor_of(nodes, sum_products(nodes, rows.flatten(0, -2), columns.flatten(0, -2)), result)


def sum_products(nodes: Nodes, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``n k, n k -> n``: a sum of products a row, without what is outside on the left."""
    inside = left != OUTSIDE
    products = torch.full(left.shape, OUTSIDE)
    products[inside] = nodes.times_each(left[inside], right[inside])
    counts = inside.sum(1)
    ids = torch.empty(len(left), dtype=torch.int64)
    for count in counts.unique().tolist():
        rows = counts == count
        ids[rows] = nodes.reduce_each("sum", products[rows][inside[rows]].reshape(int(rows.sum()), count))
    return ids


@unrolls(["convolution"])
def convolve(
    func: Any,
    source: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    """``b (g i) x..., (g o) i k... -> b (g o) y...``; what a kernel reads of the padding is left out of the sum."""
    nodes = nodes_of(source, weight)
    result = like(func, source, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
    nodes.require(result.numel())
    x, kernel = ids_of(nodes, source), ids_of(nodes, weight)  # (b, g·i, x...), (g·o, i, k...)
    if transposed:
        x, kernel = _spread(x, stride), _turned(kernel, groups)
        reach = [d * (k - 1) for d, k in zip(dilation, kernel.shape[2:])]
        widths = [(r - p, r - p + more) for r, p, more in zip(reach, padding, output_padding)]
        stride = [1] * len(stride)
    else:
        widths = [(p, p) for p in padding]
    x = torch.nn.functional.pad(x, [w for pair in reversed(widths) for w in pair], value=OUTSIDE)
    for d, size in enumerate(kernel.shape[2:]):
        x = x.unfold(2 + d, dilation[d] * (size - 1) + 1, stride[d])[..., :: dilation[d]]
    batch, places = x.shape[0], result.shape[2:].numel()
    x = x.reshape(batch, groups, kernel.shape[1], places, -1).transpose(2, 3).flatten(3)  # (b, g, y, i·k)
    kernel = kernel.reshape(groups, -1, x.shape[-1])  # (g, o, i·k)
    seen = x[:, :, None].expand(-1, -1, kernel.shape[1], -1, -1)  # (b, g, o, y, i·k)
    taps = kernel[:, :, None].expand(seen.shape)
    out = tensor_of(nodes, sum_products(nodes, seen.flatten(0, -2), taps.flatten(0, -2)), result)
    return out if bias is None else out + bias.reshape(-1, *[1] * len(stride))


def _spread(x: torch.Tensor, stride: Sequence[int]) -> torch.Tensor:
    """``stride - 1`` places that are no entries between neighbours."""
    shape = [(n - 1) * s + 1 for n, s in zip(x.shape[2:], stride)]
    wide = torch.full((*x.shape[:2], *shape), OUTSIDE)
    wide[(..., *[slice(None, None, s) for s in stride])] = x
    return wide


def _turned(kernel: torch.Tensor, groups: int) -> torch.Tensor:
    """The kernel of the convolution that a transposed one is: ``(g i) o k... -> (g o) i k...``, backwards."""
    split = kernel.reshape(groups, -1, *kernel.shape[1:]).transpose(1, 2)  # (g, o, i, k...)
    return split.flatten(0, 1).flip(list(range(2, kernel.dim())))


@unrolls(REDUCTIONS)
def reduce(func: Any, source: Scalars, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
    """One node for all that a result is reduced from; where an extreme is, is a label."""
    takes_dim = any(argument.name == "dim" for argument in func._schema.arguments)
    along = [[] if dim is None else dim] if takes_dim else []  # no axes are all axes
    result = like(func, source, *along, *args, **kwargs)
    nodes, lines, name = source.nodes, _lines(source, dim), func._schema.name.removeprefix("aten::")
    whole = result if isinstance(result, torch.Tensor) else result[0]
    ids = nodes.reduce_each(REDUCTIONS[name], lines, decides=decides(whole))
    if isinstance(result, torch.Tensor):
        return tensor_of(nodes, ids, result)
    op = ("ranked", 0, name == "max")
    where = [label(nodes, line, value, op) for line, value in zip(lines.tolist(), ids.tolist())]
    return tensor_of(nodes, ids, result[0]), tensor_of(nodes, where, result[1])


def _lines(source: Scalars, dim: Any) -> torch.Tensor:
    """What each result is reduced from, along ``dim`` (None: everything): (results, entries)."""
    axes = [dim] if isinstance(dim, int) else list(dim or range(source.dim()))
    reduced = {d % source.dim() for d in axes}
    kept = [d for d in range(source.dim()) if d not in reduced]
    results = torch.Size(source.shape[d] for d in kept).numel()
    return source.entries().permute(*kept, *sorted(reduced)).reshape(results, -1)


@unrolls(["cumprod", "cumsum"])
def cumulate(func: Any, source: Scalars, dim: int, **kwargs: Any) -> Scalars:
    """A sum or product for every position: of all up to it."""
    op = func._schema.name.removeprefix("aten::cum")
    lines = source.entries().movedim(dim, -1)
    rows = lines.reshape(-1, lines.shape[-1])
    reduced = [source.nodes.reduce_each(op, rows[:, : n + 1]) for n in range(rows.shape[1])]
    ids = torch.stack(reduced, 1).reshape(lines.shape).movedim(-1, dim)
    return Scalars(source.nodes, ids, like(func, source, dim, **kwargs).dtype)
