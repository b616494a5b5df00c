"""Rotary positions in three spellings, and one that turns only half of each head."""

from __future__ import annotations

import torch
from einops import rearrange, repeat

from tests.handwritten.attention import Separate, attend


def angles(length: int, dim: int) -> torch.Tensor:
    """(length, dim / 2)"""
    return torch.outer(torch.arange(length).float(), 100.0 ** -(torch.arange(0, dim, 2) / dim))


class Interleaved(Separate):
    """Neighbours are a pair: ``x[..., ::2]`` and ``x[..., 1::2]``, stacked again."""

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        angle = angles(x.shape[-2], x.shape[-1])
        even, odd = x[..., ::2], x[..., 1::2]
        turned = torch.stack((even * angle.cos() - odd * angle.sin(), odd * angle.cos() + even * angle.sin()), -1)
        return turned.flatten(-2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        return self.join(attend(self.turn(q), self.turn(k), v))


class Complex(Interleaved):
    """The same by a product of complex numbers."""

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        angle = angles(x.shape[-2], x.shape[-1])
        z = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(z * torch.polar(torch.ones_like(angle), angle)).flatten(3).type_as(x)


class Halves(Interleaved):
    """The first half of a head pairs with the second."""

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        angle = torch.cat([angles(x.shape[-2], x.shape[-1])] * 2, -1)
        first, second = x.chunk(2, dim=-1)
        return x * angle.cos() + torch.cat([-second, first], -1) * angle.sin()


class Partial(Interleaved):
    """Half of each head is turned, by einops; the rest passes through."""

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        part = x.shape[-1] // 2
        angle = repeat(angles(x.shape[-2], part), "t n -> t (n r)", r=2)
        turned, rest = x[..., :part], x[..., part:]
        first, second = rearrange(turned, "... (n r) -> ... n r", r=2).unbind(-1)
        other = rearrange(torch.stack([-second, first], -1), "... n r -> ... (n r)")
        return torch.cat([turned * angle.cos() + other * angle.sin(), rest], -1)
