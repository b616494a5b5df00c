"""Fixed linear maps of entries: Fourier transforms and resampling."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Any, Final

import torch

from graphmerge.certify.contraction import sum_products
from graphmerge.certify.nodes import Nodes
from graphmerge.certify.scalars import Scalars, ids_of, like, tensor_of, unrolls

RESAMPLING: Final = {  # op -> how many of the last axes it maps
    "_upsample_bicubic2d_aa": 2, "_upsample_bilinear2d_aa": 2, "_upsample_nearest_exact1d": 1,
    "_upsample_nearest_exact2d": 2, "_upsample_nearest_exact3d": 3, "upsample_bicubic2d": 2, "upsample_bilinear2d": 2,
    "upsample_linear1d": 1, "upsample_nearest1d": 1, "upsample_nearest2d": 2, "upsample_nearest3d": 3,
    "upsample_trilinear3d": 3,
}  # fmt: skip


def weighted(nodes: Nodes, rows: torch.Tensor, weights: Sequence[complex | float]) -> torch.Tensor:
    """``n k, k -> n``: ``Σ w x`` with constant weights; a weight of 1 is no product, one of 0 no term."""
    terms = [_scaled(nodes, column, weight) for column, weight in zip(rows.unbind(1), weights) if weight != 0]
    if not terms:
        return torch.full((len(rows),), nodes.constant(0.0))
    return terms[0] if len(terms) == 1 else nodes.reduce_each("sum", torch.stack(terms, 1))


def _scaled(nodes: Nodes, ids: torch.Tensor, weight: complex | float) -> torch.Tensor:
    return ids if weight == 1 else nodes.times_each(ids, torch.full_like(ids, nodes.constant(weight)))


@unrolls(RESAMPLING)
def resample(func: Any, source: Scalars, *args: Any, **kwargs: Any) -> Scalars:
    """Each image by itself: what the op makes of every single pixel says how a result is put together."""
    result = like(func, source, *args, **kwargs)
    axes = RESAMPLING[func._schema.name.removeprefix("aten::")]
    shape = source.shape[-axes:]
    pixels = torch.eye(shape.numel(), dtype=torch.float64).reshape(1, -1, *shape)
    columns = func(pixels, *args, **kwargs).reshape(shape.numel(), -1).T.tolist()  # (places, pixels)
    images = source.entries().reshape(-1, shape.numel())
    ids = torch.stack([weighted(source.nodes, images, column) for column in columns], 1)
    return tensor_of(source.nodes, ids, result)


@unrolls(["grid_sampler_2d", "grid_sampler_3d"])
def sample(func: Any, source: Scalars, grid: torch.Tensor, *args: Any, **kwargs: Any) -> Scalars:
    """``b c x, b y -> b c y``: pixels at places, each a weighted sum of those around it."""
    if isinstance(grid, Scalars):
        return _sample_where_told(func, source, grid, *args, **kwargs)
    result, shape = like(func, source, grid, *args, **kwargs), source.shape[2:]
    pixels = torch.eye(shape.numel(), dtype=torch.float64).reshape(1, -1, *shape)
    ids = []
    for images, places in zip(source.entries().flatten(2), grid.double()):
        columns = func(pixels, places[None], *args, **kwargs).reshape(shape.numel(), -1).T.tolist()
        ids.append(torch.stack([weighted(source.nodes, images, column) for column in columns], 1))
    return tensor_of(source.nodes, torch.stack(ids), result)


def _sample_where_told(func: Any, source: Any, grid: Scalars, *args: Any, **kwargs: Any) -> Scalars:
    """The weight of each pixel is an operation on the coordinates of the place, and a pixel read is a sum over all."""
    nodes, result = grid.nodes, like(func, source, grid, *args, **kwargs)
    images = ids_of(nodes, source).flatten(2)  # (b, c, x)
    places = grid.entries().flatten(1, -2)  # (b, y, axes)
    settings = (source.shape[2:], *args, *kwargs.values())
    rows = places.flatten(0, 1)
    shares = [nodes.apply_each(("sampled", pixel, *settings), rows) for pixel in range(images.shape[-1])]
    weights = torch.stack(shares, 1).reshape(*places.shape[:2], -1)  # (b, y, x)
    shape = (*images.shape[:2], *weights.shape[1:])
    left, right = weights[:, None].expand(shape), images[:, :, None].expand(shape)  # (b, c, y, x)
    return tensor_of(nodes, sum_products(nodes, left.flatten(0, -2), right.flatten(0, -2)), result)


@unrolls(["_fft_c2c"])
def fourier(func: Any, source: Scalars, dims: Sequence[int], normalization: int, forward: bool) -> Scalars:
    """``Σ_j exp(∓ 2 π i j k / n) x_j``, one axis after the other."""
    nodes, ids = source.nodes, source.entries()
    for dim in dims:
        size = ids.shape[dim]
        roots = _roots(size, -1 if forward else 1)
        ids = _along(nodes, ids, dim, [[roots[j * k % size] for j in range(size)] for k in range(size)])
    scale = _scale(math.prod(source.shape[d] for d in dims), normalization)
    scaled = _scaled(nodes, ids.flatten(), scale)
    return tensor_of(nodes, scaled, torch.empty(ids.shape, dtype=source.dtype.to_complex(), device="meta"))


@unrolls(["_fft_r2c"])
def fourier_of_real(func: Any, source: Scalars, dims: Sequence[int], normalization: int, onesided: bool) -> Any:
    """The same of real entries; the half that says everything if ``onesided``."""
    whole = fourier(func, source, dims, normalization, True)
    size = source.shape[dims[-1]]
    return whole.narrow(dims[-1], 0, size // 2 + 1) if onesided else whole


@unrolls(["_fft_c2r"])
def fourier_to_real(func: Any, source: Scalars, dims: Sequence[int], normalization: int, last_dim_size: int) -> Any:
    """The real parts, of half a spectrum: the other half is its conjugate, backwards."""
    last = dims[-1]
    half, size = source.shape[last], last_dim_size
    rest = source.narrow(last, 1, size - half).flip(last)  # x_{n-j}
    for dim in dims[:-1]:
        rest = rest.index_select(dim, -torch.arange(source.shape[dim]) % source.shape[dim])
    whole = torch.cat([source, rest.conj().resolve_conj()], last)
    return torch.view_as_real(torch.ops.aten._fft_c2c(whole, dims, normalization, False)).select(-1, 0)


def _roots(size: int, sign: int) -> list[complex]:
    """Powers of a root of 1, exact where they are simple."""
    exact = {0: 1, size / 4: sign * 1j, size / 2: -1, 3 * size / 4: -sign * 1j}
    return [exact.get(k, cmath.exp(sign * 2j * math.pi * k / size)) for k in range(size)]


def _along(nodes: Nodes, ids: torch.Tensor, dim: int, rows: Sequence[Sequence[complex]]) -> torch.Tensor:
    lines = ids.movedim(dim, -1)
    sums = torch.stack([weighted(nodes, lines.reshape(-1, lines.shape[-1]), row) for row in rows], 1)
    return sums.reshape(*lines.shape[:-1], len(rows)).movedim(-1, dim)


def _scale(count: int, normalization: int) -> float:
    """None, one over the root of the size, or over the size."""
    return {0: 1.0, 1: 1 / math.sqrt(count), 2: 1 / count}[normalization]
