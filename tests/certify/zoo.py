"""Small modules that use the ops of a Transformer's surroundings: convolutions, norms, look-ups, writing in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional


class Call(nn.Module):
    """A module from parts and a function of them."""

    def __init__(self, forward: Callable[..., torch.Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.run = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(x, **self.parts)


def _rotate(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    z = torch.view_as_complex(up(x).unflatten(-1, (-1, 2)))
    return torch.view_as_real(z * torch.polar(torch.ones(2), torch.tensor([0.3, 0.7]))).flatten(-2)


def _fill(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    out = torch.zeros(x.shape[0], 5)
    out[:, :4] = up(x)
    out[:, 1] *= 2
    out[:, [0, 2]] = out[:, [2, 4]] + out[:, [-1]] + (10 * out[:, [0, 3]]).int()
    chosen = out.index_select(1, torch.tensor([1, 2]))
    chosen += 1
    return torch.cat([out, chosen], -1).masked_fill(torch.tensor([False, True] + [False] * 5), -1.0)


def _statistics(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    h = up(x)
    norms = functional.normalize(h, dim=-1) + functional.rms_norm(h, (4,))
    extremes = h.max(-1, keepdim=True)
    lines = [h.std(-1, keepdim=True), h.logsumexp(-1, keepdim=True), h.log_softmax(-1), extremes.values]
    return torch.cat([norms, h.cumsum(-1), *lines], -1)


def _attend(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    q, k, v = up(x).reshape(1, 2, 3, 2, 2).permute(2, 0, 3, 1, 4)
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


IMAGE, ROWS = (1, 2, 4, 4), (2, 3)
ZOO: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "convolutions": lambda: (
        Call(
            lambda x, a, b: b(a(x)).mean((2, 3)),
            a=nn.Conv2d(2, 4, 3, padding=1),
            b=nn.Conv2d(4, 2, 2, stride=2, groups=2),
        ),
        torch.rand(IMAGE),
    ),
    "dilated and depthwise": lambda: (
        nn.Sequential(nn.Conv1d(2, 2, 2, groups=2, padding=2), nn.Conv1d(2, 3, 2, dilation=2)),
        torch.rand(1, 2, 3),
    ),
    "batch and group norm": lambda: (
        nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Hardswish()),
        torch.rand(IMAGE),
    ),
    "pooling": lambda: (nn.Sequential(nn.Conv2d(2, 3, 2), nn.AdaptiveAvgPool2d((2, 1))), torch.rand(IMAGE)),
    "complex rotation": lambda: (Call(_rotate, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "writing in place": lambda: (Call(_fill, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "statistics": lambda: (Call(_statistics, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "fused attention": lambda: (Call(_attend, up=nn.Linear(3, 12)), torch.rand(1, 2, 3)),
    "einsum": lambda: (
        Call(lambda x, a, b: torch.einsum("nd,ne->de", a(x), b(x)).tril(), a=nn.Linear(3, 2), b=nn.Linear(3, 2)),
        torch.rand(ROWS),
    ),
    "torch's own layer": lambda: (nn.TransformerEncoderLayer(4, 2, 3, batch_first=True), torch.rand(1, 2, 4)),
}
