"""Ops that are formulas in others: written out with torch on tensors of nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from graphmerge.certify.scalars import Scalars, unrolls


@unrolls(["mean"])
def mean(func: Any, x: Scalars, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> torch.Tensor:
    """``Σ x / n``"""
    total = x.sum(dim=dim, keepdim=keepdim)
    return total / (x.numel() // max(total.numel(), 1))


@unrolls(["var"])
def variance(func: Any, x: Scalars, dim: Any = None, *args: Any, **kwargs: Any) -> torch.Tensor:
    """``Σ (x - mean)² / (n - correction)``"""
    return _moments(func, x, dim, *args, **kwargs)[0]


@unrolls(["var_mean"])
def variance_and_mean(func: Any, x: Scalars, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Both."""
    return _moments(func, x, dim, *args, **kwargs)


def _moments(
    func: Any,
    x: Scalars,
    dim: Any,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    lost = (1 if unbiased else 0) if correction is None else correction
    center = x.mean(dim, keepdim=True)
    spread = (x - center).square().sum(dim=dim, keepdim=keepdim)
    count = x.numel() // max(spread.numel(), 1)
    return spread / (count - lost), center if keepdim else center.reshape(spread.shape)


@unrolls(["_softmax", "_safe_softmax"])
def softmax(func: Any, x: Scalars, dim: int, *_: Any, **__: Any) -> torch.Tensor:
    """``exp x / Σ exp x``; the maximum that numerics subtract changes nothing."""
    powers = x.exp()
    return powers / powers.sum(dim, keepdim=True)


@unrolls(["_log_softmax"])
def log_softmax(func: Any, x: Scalars, dim: int, *_: Any) -> torch.Tensor:
    """``x - ln Σ exp x``"""
    return x - x.exp().sum(dim, keepdim=True).log()


@unrolls(["native_layer_norm"])
def layer_norm(
    func: Any, x: Scalars, shape: Sequence[int], weight: Any, bias: Any, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(x - mean) / √(var + eps) · weight + bias`` over the last axes."""
    axes = list(range(-len(shape), 0))
    var, center = torch.var_mean(x, axes, correction=0, keepdim=True)
    scale = (var + eps).rsqrt()
    normed = (x - center) * scale
    normed = normed if weight is None else normed * weight
    return normed if bias is None else normed + bias, center, scale


@unrolls(["linalg_vector_norm"])
def norm(func: Any, x: Scalars, ord: float = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> torch.Tensor:
    """``(Σ |x|^p)^(1/p)``"""
    if ord == 2:
        return x.square().sum(dim=dim, keepdim=keepdim).sqrt()
    if math.isinf(ord):
        return torch.amax(x.abs(), dim, keepdim) if ord > 0 else torch.amin(x.abs(), dim, keepdim)
    return x.abs().pow(ord).sum(dim=dim, keepdim=keepdim).pow(1 / ord)


@unrolls(["_cdist_forward"])
def distances(func: Any, left: Any, right: Any, p: float, *_: Any) -> torch.Tensor:
    """``... n d, ... m d -> ... n m``: ``(Σ |x - y|^p)^(1/p)``"""
    return torch.linalg.vector_norm(left.unsqueeze(-2) - right.unsqueeze(-3), p, dim=-1)


@unrolls(["addmm", "baddbmm"])
def add_product(func: Any, bias: Any, left: Any, right: Any, *, beta: float = 1, alpha: float = 1) -> torch.Tensor:
    """``β bias + α left right``"""
    product = left @ right
    product = product if alpha == 1 else alpha * product
    return product + (bias if beta == 1 else beta * bias)


@unrolls(["_adaptive_avg_pool2d"])
def adaptive_average(func: Any, x: Scalars, size: Sequence[int]) -> torch.Tensor:
    """Means over ``size`` windows on the last two axes, which together cover them."""
    rows, columns = ([(i * n // k, -(-(i + 1) * n // k)) for i in range(k)] for n, k in zip(x.shape[-2:], size))
    means = [x[..., top:bottom, left:right].mean((-2, -1)) for top, bottom in rows for left, right in columns]
    return torch.stack(means, -1).unflatten(-1, size)


@unrolls(["linalg_solve_triangular"])
def solve(
    func: Any, matrix: Any, right: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> torch.Tensor:
    """``x`` in ``matrix x = right`` (``x matrix = right`` if not ``left``), one row after the other."""
    if not left:
        return solve(func, matrix.mT, right.mT, upper=not upper, unitriangular=unitriangular).mT
    size = matrix.shape[-1]
    rows: dict[int, torch.Tensor] = {}
    for i in reversed(range(size)) if upper else range(size):
        row = right[..., i, :]
        if rows:
            known = torch.stack([rows[j] for j in sorted(rows)], -2)  # (..., rows, columns)
            factors = matrix[..., i, min(rows) : max(rows) + 1]
            row = row - (factors[..., None] * known).sum(-2)
        rows[i] = row if unitriangular else row / matrix[..., i, i, None]
    return torch.stack([rows[i] for i in range(size)], -2)
