"""Feed-forward blocks and what people hang beside them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.handwritten.attention import Separate
from tests.handwritten.sizes import Sizes


class Mlp(nn.Sequential):
    def __init__(self, s: Sizes) -> None:
        super().__init__(nn.Linear(s.width, s.wide), nn.GELU(), nn.Linear(s.wide, s.width))


class SwiGlu(nn.Module):
    """Three matrices."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.w1, self.w3 = nn.Linear(s.width, s.wide, bias=False), nn.Linear(s.width, s.wide, bias=False)
        self.w2 = nn.Linear(s.wide, s.width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


class InterleavedGate(nn.Module):
    """Gate and value alternate along one projection."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.both, self.out = nn.Linear(s.width, 2 * s.wide), nn.Linear(s.wide, s.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = self.both(x)
        gate, value = both[..., ::2].clamp(max=7.0), both[..., 1::2].clamp(-7.0, 7.0)
        return self.out((value + 1) * gate * torch.sigmoid(1.7 * gate))


class ParallelBlock(nn.Module):
    """Attention and feed-forward from one fused projection, back by one."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.heads, self.parts = s.heads, [s.inner, s.inner, s.inner, s.wide, s.wide]
        self.fused = nn.Linear(s.width, sum(self.parts), bias=False)
        self.out = nn.Linear(s.inner + s.wide, s.width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *qkv, up, gate = self.fused(x).split(self.parts, -1)
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in qkv)
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(torch.cat([y, up * functional.silu(gate)], -1))


class Adapter(nn.Module):
    """A bottleneck after the block, with a skip connection of its own."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.block = Mlp(s)
        self.down, self.up = nn.Linear(s.width, 3), nn.Linear(3, s.width)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.block(x)
        return y + self.up(self.down(y).relu())


class LoRA(nn.Module):
    """A linear layer with a product of two thin matrices beside it."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base = base
        self.A, self.B = (
            nn.Parameter(torch.randn(rank, base.in_features)),
            nn.Parameter(torch.zeros(base.out_features, rank)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + 0.5 * x @ self.A.T @ self.B.T


class WithLoRA(Separate):
    """On queries and values."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.q, self.v = LoRA(self.q), LoRA(self.v)


class MergedLoRA(nn.Module):
    """The two thin matrices are multiplied and added to the weight first."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(s.wide, s.width))
        self.A, self.B = nn.Parameter(torch.randn(2, s.width)), nn.Parameter(torch.zeros(s.wide, 2))
        self.out = nn.Linear(s.wide, s.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(functional.linear(x, self.weight + self.B @ self.A).relu())


class Scaled(Separate):
    """Vectors scale keys and values, as IA3 does."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.scale_k, self.scale_v = nn.Parameter(torch.ones(s.inner)), nn.Parameter(torch.ones(s.inner))
        k, v = self.k, self.v
        self.k, self.v = _Times(k, self.scale_k), _Times(v, self.scale_v)


class _Times(nn.Module):
    def __init__(self, layer: nn.Module, scale: nn.Parameter) -> None:
        super().__init__()
        self.layer, self.scale = layer, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.scale


class HyperScale(nn.Module):
    """A small network makes the vectors that scale and shift another's hidden units, from the mean token."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.hyper = nn.Sequential(nn.Linear(s.width, 3), nn.Tanh(), nn.Linear(3, 2 * s.wide))
        self.up, self.down = nn.Linear(s.width, s.wide), nn.Linear(s.wide, s.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, shift = self.hyper(x.mean(1, keepdim=True)).chunk(2, -1)
        return self.down((self.up(x) * (1 + scale) + shift).relu())


class AdaptiveNorm(nn.Module):
    """Shift, scale and gate of a norm without gain come from the mean token."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(s.width, elementwise_affine=False)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(s.width, 3 * s.width))
        self.block = Mlp(s)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shift, scale, gate = self.modulation(x.mean(1))[:, None].chunk(3, dim=-1)
        return gate * self.block(self.norm(x) * (1 + scale) + shift)


class LayerScale(nn.Module):
    """A gain for each channel and one for the whole, both begun at small numbers."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.block, self.gain, self.whole = (
            Mlp(s),
            nn.Parameter(1e-4 * torch.ones(s.width)),
            nn.Parameter(torch.zeros(1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.whole * self.gain * self.block(x)


class RmsNormed(nn.Module):
    """A norm spelled out, of the kind that adds one to its gain."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.gain, self.block = nn.Parameter(torch.zeros(s.width)), SwiGlu(s)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.block(x * (1.0 + self.gain.float()))


class Shared(nn.Module):
    """One block applied twice, with a norm of its own each time."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.attention, self.block = Separate(s), Mlp(s)
        self.norms = nn.ModuleList(nn.LayerNorm(s.width) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm in self.norms:
            x = x + self.attention(norm(x))
            x = x + self.block(x)
        return x


class SpatialGate(nn.Module):
    """gMLP: one half of the hidden units, mixed over positions by a fixed matrix, gates the other."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(s.width, 2 * s.wide), nn.Linear(s.wide, s.width)
        self.norm = nn.LayerNorm(s.wide)
        self.across = nn.Parameter(torch.randn(16, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        t = x.shape[1]
        kept, gate = functional.gelu(self.enter(x)).chunk(2, -1)
        gate = torch.einsum("ij,bjd->bid", self.across[:t, :t].tril(), self.norm(gate)) + 1
        return self.leave(kept * gate)


class Codebook(nn.Module):
    """Vectors are replaced by the nearest of a learned codebook, straight through."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(s.width, s.wide), nn.Linear(s.wide, s.width)
        self.codes = nn.Embedding(5, s.wide)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.enter(x)
        distance = z.pow(2).sum(-1, keepdim=True) - 2 * z @ self.codes.weight.T + self.codes.weight.pow(2).sum(-1)
        return self.leave(z + (self.codes(distance.argmin(-1)) - z).detach())
