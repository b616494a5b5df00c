"""Attention, written as people do."""

from __future__ import annotations

import math

import torch
from einops import einsum, rearrange, repeat
from torch import nn
from torch.nn import functional

from tests.handwritten.sizes import Sizes


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Softmax attention over the last two axes, ``(..., t, d)``."""
    return (q @ k.mT / math.sqrt(q.shape[-1]) + bias).softmax(-1) @ v


class CausalFused(nn.Module):
    """``c_attn``, split in three, a causal mask kept in a buffer."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.heads, self.inner = s.heads, s.inner
        self.c_attn = nn.Linear(s.width, 3 * s.inner)
        self.c_proj = nn.Linear(s.inner, s.width)
        self.register_buffer("mask", torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape
        parts = self.c_attn(x).split(self.inner, dim=2)
        q, k, v = (p.view(b, t, self.heads, -1).transpose(1, 2) for p in parts)  # (b, heads, t, dim)
        scores = q @ k.transpose(-2, -1) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")).softmax(-1)
        return self.c_proj((scores @ v).transpose(1, 2).contiguous().view(b, t, self.inner))


class Rearranged(nn.Module):
    """``to_qkv`` in three chunks, each by ``b n (h d) -> b h n d``."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.heads = s.heads
        self.to_qkv = nn.Linear(s.width, 3 * s.inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(s.inner, s.width), nn.Dropout(0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (rearrange(p, "b n (h d) -> b h n d", h=self.heads) for p in self.to_qkv(x).chunk(3, dim=-1))
        dots = einsum(q, k, "b h i d, b h j d -> b h i j") * q.shape[-1] ** -0.5
        return self.to_out(rearrange(attend_rows(dots, v), "b h n d -> b n (h d)"))


def attend_rows(dots: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return einsum(dots.softmax(dim=-1), v, "b h i j, b h j d -> b h i d")


class RearrangedAtOnce(nn.Module):
    """``b t (h d k) -> k b h t d``: the three are innermost."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.heads = s.heads
        self.qkv = nn.Linear(s.width, 3 * s.inner)
        self.out = nn.Linear(s.inner, s.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = rearrange(self.qkv(x), "b t (h d k) -> k b h t d", k=3, h=self.heads)
        return self.out(rearrange(attend(q, k, v), "b h t d -> b t (h d)"))


class Unflattened(nn.Module):
    """``(heads, 3, dim)``, taken apart by unflatten and unbind."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.shape = (s.heads, 3, s.dim)
        self.qkv = nn.Linear(s.width, 3 * s.inner)
        self.out = nn.Linear(s.inner, s.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, self.shape).transpose(1, 2).unbind(-2)
        return self.out(functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class HeadMatrices(nn.Module):
    """A tensor of ``(heads, width, dim)`` for each of q, k, v, o, and einsum throughout."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        for name in ("q", "k", "v"):
            setattr(self, f"W_{name}", nn.Parameter(torch.randn(s.heads, s.width, s.dim)))
            setattr(self, f"b_{name}", nn.Parameter(torch.randn(s.heads, s.dim)))
        self.W_O = nn.Parameter(torch.randn(s.heads, s.dim, s.width))
        self.b_O = nn.Parameter(torch.randn(s.width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def project(name: str) -> torch.Tensor:
            return torch.einsum("bpm,hmd->bphd", x, getattr(self, f"W_{name}")) + getattr(self, f"b_{name}")

        scores = torch.einsum("bqhd,bkhd->bhqk", project("q"), project("k")).softmax(-1)
        mixed = torch.einsum("bhqk,bkhd->bqhd", scores, project("v"))
        return torch.einsum("bqhd,hdm->bqm", mixed, self.W_O) + self.b_O


class Separate(nn.Module):
    """q, k, v by layers of their own; what is done to q and k before they meet is for subclasses."""

    def __init__(self, s: Sizes, key_heads: int | None = None) -> None:
        super().__init__()
        self.heads, self.key_heads = s.heads, key_heads or s.heads
        self.q = nn.Linear(s.width, s.inner, bias=False)
        self.k = nn.Linear(s.width, self.key_heads * s.dim, bias=False)
        self.v = nn.Linear(s.width, self.key_heads * s.dim, bias=False)
        self.o = nn.Linear(s.inner, s.width, bias=False)

    def split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(b, heads, t, dim) each."""
        b, t, _ = x.shape
        q = self.q(x).view(b, t, self.heads, -1).transpose(1, 2)
        k, v = (p(x).view(b, t, self.key_heads, -1).transpose(1, 2) for p in (self.k, self.v))
        return q, k, v

    def join(self, y: torch.Tensor) -> torch.Tensor:
        return self.o(y.transpose(1, 2).reshape(y.shape[0], y.shape[2], -1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.join(attend(*self.split(x)))


class MultiQuery(nn.Module):
    """One head of keys and values for all queries."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.heads, self.dim = s.heads, s.dim
        self.qkv = nn.Linear(s.width, s.inner + 2 * s.dim)
        self.out = nn.Linear(s.inner, s.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).split([self.heads * self.dim, self.dim, self.dim], -1)
        q = rearrange(q, "b i (h d) -> b h i d", h=self.heads)
        scores = torch.einsum("bhid,bjd->bhij", q, k).softmax(-1)
        return self.out(rearrange(torch.einsum("bhij,bjd->bhid", scores, v), "b h i d -> b i (h d)"))


class GroupedRepeated(Separate):
    """Grouped queries: keys and values are repeated for each query of their group."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(Sizes(s.width, 2 * s.heads, s.dim, s.wide, s.vocabulary), s.heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        k, v = (p.repeat_interleave(2, dim=1) for p in (k, v))
        return self.join(attend(q, k, v))


class GroupedByEinops(GroupedRepeated):
    """The same with ``repeat``, and groups that run the other way: ``(g h)``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        k, v = (repeat(p, "b h t d -> b (g h) t d", g=2) for p in (k, v))
        return self.join(attend(q, k, v))


class NormedQueries(Separate):
    """Queries and keys are normalised in each head with one gain for all heads, and scaled by a number for each."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.q_gain, self.k_gain = nn.Parameter(torch.ones(s.dim)), nn.Parameter(torch.ones(s.dim))
        self.scale = nn.Parameter(torch.ones(s.heads, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        q, k = functional.normalize(q, dim=-1) * self.q_gain, functional.normalize(k, dim=-1) * self.k_gain
        return self.join((q @ k.mT * self.scale.exp()).softmax(-1) @ v)


class RelativeTable(Separate):
    """A bias looked up by distance in a table of one column for each head."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.table = nn.Embedding(31, s.heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        t = torch.arange(x.shape[1])
        bias = self.table((t[None] - t[:, None]) + 15)  # (t, t, heads)
        return self.join(attend(q, k, v, rearrange(bias, "i j h -> 1 h i j")))


class Alibi(Separate):
    """A constant slope for each head."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        t = torch.arange(x.shape[1])
        slopes = 2.0 ** -torch.arange(1, self.heads + 1)
        return self.join(attend(q, k, v, -slopes[:, None, None] * (t[:, None] - t).abs()))


class Gated(Separate):
    """The heads' results are gated by a sigmoid of the input."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.gate = nn.Linear(s.width, s.inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        y = attend(q, k, v).transpose(1, 2).flatten(2)
        return self.o(torch.sigmoid(self.gate(x)) * y)


class Prefix(Separate):
    """Learned keys and values that every token sees too."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.prefix = nn.Parameter(torch.randn(2, 1, s.heads, 3, s.dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        more = self.prefix.expand(-1, x.shape[0], -1, -1, -1)
        return self.join(attend(q, torch.cat([more[0], k], 2), torch.cat([more[1], v], 2)))


class MaskedPrefix(Prefix):
    """The same under a causal mask, which is the same for all heads and lets every token see the learned keys."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        more = self.prefix.expand(-1, x.shape[0], -1, -1, -1)
        k, v = torch.cat([more[0], k], 2), torch.cat([more[1], v], 2)
        hidden = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).triu(k.shape[2] - q.shape[2] + 1)
        return self.join((q @ k.mT).masked_fill(hidden, -1e9).softmax(-1) @ v)


class Differential(nn.Module):
    """The difference of two attentions, the second scaled by a learned number; their keys share values."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.heads = s.heads
        self.q, self.k = nn.Linear(s.width, 2 * s.inner), nn.Linear(s.width, 2 * s.inner)
        self.v, self.o = nn.Linear(s.width, s.inner), nn.Linear(s.inner, s.width)
        self.share = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k = (rearrange(p(x), "b t (h two d) -> two b h t d", h=self.heads, two=2) for p in (self.q, self.k))
        v = rearrange(self.v(x), "b t (h d) -> b h t d", h=self.heads)
        weights = (q @ k.mT).softmax(-1)  # (two, b, heads, t, t)
        return self.o(rearrange((weights[0] - self.share * weights[1]) @ v, "b h t d -> b t (h d)"))
