"""Ways to mix tokens that are not softmax attention, and attention from other tokens."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional

from tests.handwritten.attention import Separate, attend
from tests.handwritten.sizes import Sizes


class LinearAttention(Separate):
    """``φ(q) (φ(k)ᵀ v)`` with a feature map, and its normaliser."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        q, k = functional.elu(q) + 1, functional.elu(k) + 1
        context = torch.einsum("bhnd,bhne->bhde", k, v)
        total = 1 / torch.einsum("bhnd,bhd->bhn", q, k.sum(-2))
        return self.join(torch.einsum("bhnd,bhde,bhn->bhne", q, context, total))


class CausalLinearAttention(Separate):
    """The same with running sums; queries and keys are normalised by softmax over features and over nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        q, k = q.softmax(-1), k.exp()
        state = torch.einsum("bhnd,bhne->bhnde", k, v).cumsum(2)
        return self.join(torch.einsum("bhnd,bhnde->bhne", q / (q * k.cumsum(2)).sum(-1, keepdim=True), state))


class Retention(Separate):
    """Scores decay with distance, at another constant rate in each head; results are normed in each head."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.norm = nn.GroupNorm(s.heads, s.inner, affine=False)
        self.register_buffer("rates", torch.log(1 - 2.0 ** (-5 - torch.arange(s.heads))), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(x)
        t = torch.arange(x.shape[1])
        decay = ((t[:, None] - t).clamp(min=0) * self.rates[:, None, None]).exp().tril()
        y = rearrange((q @ k.mT * decay) @ v, "b h t d -> b t (h d)")
        return self.o(self.norm(y.flatten(0, 1)).view_as(y))


class Latents(nn.Module):
    """Learned latents read the tokens, think, and are read by the tokens."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(3, s.width))
        self.read, self.think, self.write = CrossAttention(s), CrossAttention(s), CrossAttention(s)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.latents.expand(x.shape[0], -1, -1)
        z = z + self.read(z, x)
        z = z + self.think(z, z)
        return self.write(x, z)


class CrossAttention(nn.Module):
    """Queries from one sequence, keys and values, in one projection, from another."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.heads = s.heads
        self.norm, self.context_norm = nn.LayerNorm(s.width), nn.LayerNorm(s.width)
        self.to_q, self.to_kv = nn.Linear(s.width, s.inner, bias=False), nn.Linear(s.width, 2 * s.inner, bias=False)
        self.to_out = nn.Linear(s.inner, s.width)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        q = self.to_q(self.norm(x))
        k, v = self.to_kv(self.context_norm(context)).chunk(2, dim=-1)
        q, k, v = (rearrange(p, "b n (h d) -> b h n d", h=self.heads) for p in (q, k, v))
        return self.to_out(rearrange(attend(q, k, v), "b h n d -> b n (h d)"))


class Registers(nn.Module):
    """Learned tokens stand beside the others during attention, and are cut off again."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.registers = nn.Parameter(torch.randn(3, s.width))
        self.attention = Separate(s)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        together = torch.cat([self.registers.expand(x.shape[0], -1, -1), x], 1)
        return self.attention(together)[:, len(self.registers) :]


class ConformerConvolution(nn.Module):
    """Pointwise, GLU, depthwise, batch norm, swish, pointwise, over ``b c t``."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(s.width, 2 * s.wide, 1),
            nn.GLU(dim=1),
            nn.Conv1d(s.wide, s.wide, 3, padding=1, groups=s.wide),
            nn.BatchNorm1d(s.wide),
            nn.SiLU(),
            nn.Conv1d(s.wide, s.width, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.transpose(1, 2)).transpose(1, 2)


class TimeShift(nn.Module):
    """RWKV's channel mixing: each token sees the one before it, in shares that each channel learns."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.share_k, self.share_r = nn.Parameter(torch.rand(s.width)), nn.Parameter(torch.rand(s.width))
        self.key, self.value = nn.Linear(s.width, s.wide, bias=False), nn.Linear(s.wide, s.width, bias=False)
        self.receptance = nn.Linear(s.width, s.width, bias=False)
        self.shift = nn.ZeroPad2d((0, 0, 1, -1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.shift(x)
        k = self.key(x * self.share_k + before * (1 - self.share_k)).relu().square()
        return torch.sigmoid(self.receptance(torch.lerp(before, x, self.share_r))) * self.value(k)


class Recurrence(nn.Module):
    """A diagonal recurrence with an input gate, stepped through by a loop over positions."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(s.width, 2 * s.wide), nn.Linear(s.wide, s.width)
        self.decay = nn.Parameter(torch.randn(s.wide))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, value = self.enter(x).chunk(2, -1)
        state, states = torch.zeros_like(value[:, 0]), []
        for t in range(x.shape[1]):
            state = torch.sigmoid(self.decay) * state + torch.sigmoid(gate[:, t]) * value[:, t]
            states.append(state)
        return self.leave(torch.stack(states, 1))


class StateSpace(nn.Module):
    """A selective state space: each inner channel has states of its own, the step and both maps depend on the input."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.states = 3
        self.enter, self.leave = nn.Linear(s.width, s.wide), nn.Linear(s.wide, s.width)
        self.step, self.maps = nn.Linear(s.wide, s.wide), nn.Linear(s.wide, 2 * self.states)
        self.log_rate = nn.Parameter(torch.randn(s.wide, self.states))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u = functional.silu(self.enter(x))
        step, (b, c) = functional.softplus(self.step(u)), self.maps(u).chunk(2, -1)
        decay = torch.exp(step[..., None] * -self.log_rate.exp())  # (batch, t, wide, states)
        added, state, found = torch.einsum("btw,btn,btw->btwn", step, b, u), 0.0, []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + added[:, t]
            found.append(torch.einsum("bwn,bn->bw", state, c[:, t]))
        return self.leave(torch.stack(found, 1))
