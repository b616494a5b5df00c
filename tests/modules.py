"""Six hand-written attention and feed-forward variants, as users write them, with their groups counted by hand."""

from __future__ import annotations

import math

import torch
from torch import nn


class Block(nn.Module):
    """Embedding, one mixing layer on a residual, norm, head: what each variant below stands in."""

    def __init__(self, mix: nn.Module, width: int, vocabulary: int = 13) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList([mix])
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = x + layer(self.norm(x))
        return self.head(self.last(x))


class UnbindAttention(nn.Module):
    """One projection to (3, heads, dim), taken apart by unbind."""

    def __init__(self, width: int, heads: int, dim: int) -> None:
        super().__init__()
        self.heads, self.dim = heads, dim
        self.qkv = nn.Linear(width, 3 * heads * dim)
        self.out = nn.Linear(heads * dim, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, self.dim).permute(2, 0, 3, 1, 4).unbind(0)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v)  # (b, heads, t, dim)
        return self.out(y.transpose(1, 2).reshape(b, t, -1))


class ChunkAttention(nn.Module):
    """One projection to (heads, 3 · dim), chunked within each head."""

    def __init__(self, width: int, heads: int, dim: int) -> None:
        super().__init__()
        self.heads, self.dim = heads, dim
        self.qkv = nn.Linear(width, 3 * heads * dim, bias=False)
        self.out = nn.Linear(heads * dim, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape
        q, k, v = self.qkv(x).view(b, t, self.heads, 3 * self.dim).transpose(1, 2).chunk(3, dim=-1)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(self.dim)).softmax(-1)  # (b, heads, t, t)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class TalkingHeads(nn.Module):
    """Scores and weights are mixed across heads by two matrices."""

    def __init__(self, width: int, heads: int, dim: int) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, heads * dim, bias=False) for _ in range(3))
        self.before = nn.Parameter(torch.randn(heads, heads))
        self.after = nn.Parameter(torch.randn(heads, heads))
        self.out = nn.Linear(heads * dim, width)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)) for p in (self.q, self.k, self.v))
        scores = torch.einsum("bihd,bjhd->bhij", q, k)
        scores = torch.einsum("bhij,hg->bgij", scores, self.before).softmax(-1)
        weights = torch.einsum("bgij,gf->bfij", scores, self.after)
        return self.out(torch.einsum("bfij,bjfd->bifd", weights, v).flatten(2))


class HeadGain(nn.Module):
    """Attention whose heads are scaled by one learned number each."""

    def __init__(self, width: int, heads: int, dim: int) -> None:
        super().__init__()
        self.attention = ChunkAttention(width, heads, dim)
        self.gain = nn.Parameter(torch.ones(heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.attention
        b, t, _ = x.shape
        q, k, v = inner.qkv(x).view(b, t, inner.heads, 3 * inner.dim).transpose(1, 2).chunk(3, dim=-1)
        weights = (q @ k.transpose(-1, -2)).softmax(-1)
        y = self.gain[:, None, None] * (weights @ v)  # (b, heads, t, dim)
        return inner.out(y.transpose(1, 2).flatten(2))


class FusedGate(nn.Module):
    """A gated MLP whose gate and value come from one projection."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.both = nn.Linear(width, 2 * wide)
        self.out = nn.Linear(wide, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, value = self.both(x).chunk(2, dim=-1)
        return self.out(torch.nn.functional.silu(gate) * value)


class StackedExperts(nn.Module):
    """Every expert sees every token; a softmax mixes them. The experts' weights are stacked."""

    def __init__(self, width: int, wide: int, experts: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, experts)
        self.up = nn.Parameter(torch.randn(experts, width, wide))
        self.down = nn.Parameter(torch.randn(experts, wide, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share = self.router(x).softmax(-1)  # (b, t, experts)
        hidden = torch.einsum("btd,edf->btef", x, self.up).relu()
        return torch.einsum("btef,efd,bte->btd", hidden, self.down, share)


def ln(n: int) -> float:
    """ln n!"""
    return math.lgamma(n + 1)


D, H, N, F, E = 10, 3, 4, 6, 5  # residual, heads, head dim, feed-forward, experts

# module, and its log-order by hand: the residual, then what each variant adds
VARIANTS = {
    "fused qkv with unbind": (lambda: UnbindAttention(D, H, N), ln(D) + ln(H) + H * (ln(N) + ln(N))),
    "(heads 3·dim) chunk": (lambda: ChunkAttention(D, H, N), ln(D) + ln(H) + H * (ln(N) + ln(N))),
    # q and k have heads of their own, the scores in between a second set, v a third
    "talking heads": (lambda: TalkingHeads(D, H, N), ln(D) + 3 * ln(H) + H * (ln(N) + ln(N))),
    "per-head gain": (lambda: HeadGain(D, H, N), ln(D) + ln(H) + H * (ln(N) + ln(N))),
    "gated MLP from one projection": (lambda: FusedGate(D, F), ln(D) + ln(F)),
    "stacked experts by einsum": (lambda: StackedExperts(D, F, E), ln(D) + ln(E) + E * ln(F)),
}


def variant(name: str) -> tuple[nn.Module, torch.Tensor, float]:
    """A model, its example input, and its log-order."""
    make, order = VARIANTS[name]
    return Block(make(), D).eval(), torch.tensor([[3, 1, 4, 1, 5]]), order
