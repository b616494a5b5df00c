"""A decoder as a user may have written it: grouped queries, a fused and gated feed-forward, layers in parallel."""

import torch
from torch import nn


class Layer(nn.Module):
    """Attention and feed-forward side by side on one norm; queries in groups share keys and values."""

    def __init__(self, width: int, pairs: int, group: int, dim: int, inner: int) -> None:
        super().__init__()
        self.pairs, self.group, self.dim = pairs, group, dim
        self.norm = nn.LayerNorm(width)
        self.q = nn.Linear(width, pairs * group * dim, bias=False)
        self.kv = nn.Linear(width, pairs * 2 * dim, bias=False)
        self.o = nn.Linear(pairs * group * dim, width)
        self.gate_and_up = nn.Linear(width, 2 * inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape
        h = self.norm(x)
        q = self.q(h).view(b, t, self.pairs, self.group, self.dim)
        k, v = self.kv(h).view(b, t, self.pairs, 2, self.dim).unbind(3)  # each (b, t, pairs, dim)
        scores = torch.einsum("bipgd,bjpd->bpgij", q, k) / self.dim**0.5
        scores = scores + torch.full((t, t), float("-inf")).triu(1)
        y = torch.einsum("bpgij,bjpd->bipgd", scores.softmax(-1), v).reshape(b, t, -1)
        gate, up = self.gate_and_up(h).chunk(2, dim=-1)
        return x + self.o(y) + self.down(nn.functional.silu(gate) * up)


class Decoder(nn.Module):
    """Words and positions are added, three layers follow, and the head is the embedding again."""

    def __init__(self, vocabulary: int = 50, length: int = 32, width: int = 20, layers: int = 3) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.1 * torch.randn(length, width))
        self.layers = nn.ModuleList(Layer(width, pairs=3, group=2, dim=6, inner=14) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.words(ids) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def model() -> tuple[nn.Module, tuple[torch.Tensor]]:
    """For ``graphmerge spec check decoder.yaml decoder.py:model``."""
    torch.manual_seed(0)
    return Decoder().eval(), (torch.randint(0, 50, (2, 11)),)
