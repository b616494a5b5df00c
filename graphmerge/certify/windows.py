"""Windows over images: pooling, and windows put back together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.linear_maps import weighted
from graphmerge.certify.scalars import Scalars, like, tensor_of, unrolls


def _windows(
    ids: torch.Tensor, sizes: Sequence[int], strides: Sequence[int], paddings: Sequence[int], places: Sequence[int]
) -> list[torch.Tensor]:
    """What each window over the last axes sees of every image: (images, entries)."""
    axes = len(sizes)
    images = ids.reshape(-1, *ids.shape[-axes:])
    starts = [[p * stride - padding for p in range(n)] for n, stride, padding in zip(places, strides, paddings)]
    corners = itertools.product(*starts)
    return [
        images[(slice(None), *(slice(max(c, 0), c + size) for c, size in zip(corner, sizes)))].flatten(1)
        for corner in corners
    ]


def _spread(value: Sequence[int], axes: int) -> list[int]:
    """One number for all axes, or one each."""
    return [*value] * (axes if len(value) == 1 else 1)


@unrolls(["avg_pool1d", "avg_pool2d", "avg_pool3d"])
def average(
    func: Any,
    source: Scalars,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Scalars:
    """Sums over windows, divided by how much they cover."""
    rest = [ceil_mode, count_include_pad, *([divisor_override] if "1d" not in func._schema.name else [])]
    result = like(func, source, kernel, stride, padding, *rest)
    axes = int(func._schema.name[-2])
    sizes, shifts, edges = (_spread(v, axes) for v in (kernel, stride or kernel, padding))
    places, shape = result.shape[-axes:], source.shape[-axes:]
    nodes = source.nodes
    windows = _windows(source.entries(), sizes, shifts, edges, places)
    means = []
    for corner, window in zip(itertools.product(*[range(n) for n in places]), windows):
        starts = [c * s - e for c, s, e in zip(corner, shifts, edges)]
        covered = math.prod(min(b + k, n + e) - b for b, k, n, e in zip(starts, sizes, shape, edges))
        count = divisor_override or (covered if count_include_pad else window.shape[1])
        total = nodes.reduce_each("sum", window)
        shares = torch.stack([total, torch.full_like(total, nodes.constant(count))], 1)
        means.append(nodes.apply_each("div", shares) if count != 1 else total)
    return tensor_of(nodes, torch.stack(means, 1), result)


@unrolls(["max_pool2d_with_indices", "max_pool3d_with_indices"])
def largest(
    func: Any,
    source: Scalars,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Any:
    """Extremes over windows. Where they were is an operation on the window in its order."""
    if any(d != 1 for d in dilation):
        raise CertifyError(f"{func} with dilation cannot be unrolled; certify a model without it")
    values, where = like(func, source, kernel, stride, padding, dilation, ceil_mode)
    axes = int(func._schema.name.partition("d_with")[0][-1])
    sizes, shifts, edges = (_spread(v, axes) for v in (kernel, stride or kernel, padding))
    windows = _windows(source.entries(), sizes, shifts, edges, values.shape[-axes:])
    nodes = source.nodes
    maxima = torch.stack([nodes.reduce_each("max", window) for window in windows], 1)
    found = torch.stack([nodes.apply_each(("place", "max"), window) for window in windows], 1)
    return tensor_of(nodes, maxima, values), tensor_of(nodes, found, where)


@unrolls(["col2im"])
def fold(
    func: Any,
    source: Scalars,
    size: Sequence[int],
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Any:
    """Windows put back where they were cut out, and added up where they overlap."""
    settings: Any = (kernel, dilation, padding, stride)
    area = math.prod(size)
    numbers = torch.arange(1, area + 1, dtype=torch.float64).reshape(1, 1, *size)
    columns = torch.nn.functional.unfold(numbers, *settings)[0].long().flatten()  # (kernel · windows), 0: padding
    images = source.entries().reshape(-1, len(columns))
    landed = [columns == place + 1 for place in range(area)]
    ids = [weighted(source.nodes, images[:, where], [1] * int(where.sum())) for where in landed]
    return tensor_of(source.nodes, torch.stack(ids, 1), like(func, source, size, *settings))
