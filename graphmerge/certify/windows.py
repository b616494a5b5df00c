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
) -> list[list[int]]:
    """What each window over the last axes sees of the image, images one after the other."""
    axes = len(sizes)
    images = ids.reshape(-1, *ids.shape[-axes:])
    starts = [[p * stride - padding for p in range(n)] for n, stride, padding in zip(places, strides, paddings)]
    found = []
    for image in images:
        for corner in itertools.product(*starts):
            window = [range(max(c, 0), min(c + size, n)) for c, size, n in zip(corner, sizes, image.shape)]
            found.append([int(image[place]) for place in itertools.product(*window)])
    return found


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
    corners = list(itertools.product(*[range(n) for n in places]))
    means = []
    for number, window in enumerate(windows):
        corner = corners[number % len(corners)]
        starts = [c * s - e for c, s, e in zip(corner, shifts, edges)]
        covered = math.prod(min(b + k, n + e) - b for b, k, n, e in zip(starts, sizes, shape, edges))
        count = divisor_override or (covered if count_include_pad else len(window))
        total = nodes.reduce("sum", window)
        means.append(nodes.apply("div", (total, nodes.constant(count))) if count != 1 else total)
    return tensor_of(nodes, means, result)


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
    maxima = tensor_of(nodes, [nodes.reduce("max", window) for window in windows], values)
    return maxima, tensor_of(nodes, [nodes.apply(("place", "max"), window) for window in windows], where)


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
    images = source.entries().reshape(-1, len(columns)).tolist()
    landed: list[list[int]] = [[n for n, place in enumerate(columns.tolist()) if place == p + 1] for p in range(area)]
    nodes = source.nodes
    ids = [weighted(nodes, [image[n] for n in where], [1] * len(where)) for image in images for where in landed]
    return tensor_of(nodes, ids, like(func, source, size, *settings))
