"""Sums of products, and every other reduction: one node a result, n-ary and without order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.nodes import Nodes
from graphmerge.certify.scalars import Scalars, ids_of, like, nodes_of, unrolls

REDUCTIONS: Final = {"sum": "sum", "prod": "prod", "amax": "max", "amin": "min", "max": "max", "min": "min"}


@unrolls(["mm", "bmm", "dot", "mv"])
def contract(func: Any, left: Any, right: Any) -> Scalars:
    """``... n k, ... k m -> ... n m``: products of two, and one sum of them."""
    nodes, result = nodes_of(left, right), like(func, left, right)
    a, b = ids_of(nodes, left), ids_of(nodes, right)
    a = a[None] if a.dim() == 1 else a
    b = b[:, None] if b.dim() == 1 else b
    rows = a.unsqueeze(-2).expand(*a.shape[:-1], b.shape[-1], a.shape[-1])  # (..., n, m, k)
    columns = b.mT.unsqueeze(-3).expand(rows.shape)  # (..., n, m, k)
    return Scalars(nodes, _sum_products(nodes, rows, columns).reshape(result.shape), result.dtype)


def _sum_products(nodes: Nodes, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``... k, ... k -> (...)``"""
    width = left.shape[-1]
    pairs = zip(left.reshape(-1, width).tolist(), right.reshape(-1, width).tolist())
    sums = [nodes.reduce("sum", [nodes.times(x, y) for x, y in zip(xs, ys)]) for xs, ys in pairs]
    return torch.tensor(sums, dtype=torch.int64)


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
) -> Scalars:
    """``b (g i) x..., (g o) i k... -> b (g o) y...``; what the kernel reads of the padding is left out of the sum."""
    if transposed:
        raise CertifyError("a transposed convolution is not unrolled; certify a model without it")
    nodes = nodes_of(source, weight)
    outside = -1
    spatial = len(stride)
    x = torch.nn.functional.pad(
        ids_of(nodes, source), [p for p in reversed(padding) for _ in range(2)], value=outside
    )  # (b, c, x...)
    kernel = ids_of(nodes, weight)  # (c', i, k...)
    for d in range(spatial):
        reach = dilation[d] * (kernel.shape[2 + d] - 1) + 1
        x = x.unfold(2 + d, reach, stride[d])[..., :: dilation[d]]
    # x: (b, c, y..., k...) -> (b, g, y, i·k); kernel: (g, o, i·k)
    batch, places = x.shape[0], x.shape[2 : 2 + spatial]
    x = x.reshape(batch, groups, -1, places.numel(), kernel[0, 0].numel()).transpose(2, 3).flatten(3)
    kernel = kernel.reshape(groups, -1, x.shape[-1])
    sums = [
        nodes.reduce("sum", [nodes.times(n, w) for n, w in zip(seen, taps) if n != outside])
        for image in x.tolist()
        for group, filters in zip(image, kernel.tolist())
        for taps in filters
        for seen in group
    ]
    shape = (batch, weight.shape[0], *places)
    result = Scalars(nodes, torch.tensor(sums, dtype=torch.int64).reshape(shape), source.dtype)
    return result if bias is None else result + bias.reshape(-1, *[1] * spatial)


@unrolls([*REDUCTIONS, "any", "all"])
def reduce(func: Any, source: Scalars, dim: Any = None, *args: Any, **kwargs: Any) -> Scalars:
    """One node for all that a result is reduced from."""
    given = [] if dim is None else [dim]
    result = like(func, source, *given, *args, **kwargs)
    if not isinstance(result, torch.Tensor):
        raise CertifyError(f"{func} gives places as well, which depend on activations; that cannot be unrolled")
    name = func._schema.name.removeprefix("aten::")
    rows = _lines(source.entries(), dim)
    ids = [source.nodes.reduce(REDUCTIONS.get(name, name), row) for row in rows.tolist()]
    return Scalars(source.nodes, torch.tensor(ids, dtype=torch.int64).reshape(result.shape), result.dtype)


def _lines(ids: torch.Tensor, dim: Any) -> torch.Tensor:
    """(results, reduced): the reduced axes (None: all) side by side."""
    axes = [dim] if isinstance(dim, int) else list(dim or range(ids.dim()))
    reduced = [d % ids.dim() for d in axes]
    kept = [d for d in range(ids.dim()) if d not in reduced]
    return ids.permute(*kept, *reduced).reshape(torch.Size(ids.shape[d] for d in kept).numel(), -1)


@unrolls(["cumsum"])
def cumulate(func: Any, source: Scalars, dim: int, **kwargs: Any) -> Scalars:
    """A sum for every position: of all up to it."""
    nodes, dtype = source.nodes, like(func, source, dim, **kwargs).dtype
    lines = source.entries().movedim(dim, -1)
    sums = [
        [nodes.reduce("sum", line[: n + 1]) for n in range(len(line))]
        for line in lines.reshape(-1, lines.shape[-1]).tolist()
    ]
    return Scalars(nodes, torch.tensor(sums, dtype=torch.int64).reshape(lines.shape).movedim(-1, dim), dtype)
