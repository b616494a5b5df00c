"""Mixtures of experts: the router picks some of them for each token."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.handwritten.feedforward import Mlp
from tests.handwritten.sizes import Sizes

EXPERTS, CHOSEN = 3, 2


class Routed(nn.Module):
    """A router and stacked experts; how they are brought together is for subclasses."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.router = nn.Linear(s.width, EXPERTS, bias=False)
        self.up = nn.Parameter(torch.randn(EXPERTS, s.width, s.wide))
        self.down = nn.Parameter(torch.randn(EXPERTS, s.wide, s.width))

    def choose(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares and labels of the chosen experts, (b, t, k) each."""
        shares, labels = torch.topk(self.router(x).softmax(-1), CHOSEN, dim=-1)
        return shares / shares.sum(-1, keepdim=True), labels

    def every(self, x: torch.Tensor) -> torch.Tensor:
        """What each expert makes of each token, (b, t, experts, width)."""
        return torch.einsum("btef,efd->bted", torch.einsum("btd,edf->btef", x, self.up).relu(), self.down)


class ScatteredShares(Routed):
    """The shares are written to their experts' places; experts that were not chosen get 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares, labels = self.choose(x)
        weights = torch.zeros(*x.shape[:2], EXPERTS).scatter(-1, labels, shares)
        return torch.einsum("bted,bte->btd", self.every(x), weights)


class OneHotShares(Routed):
    """The same through ``one_hot``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares, labels = self.choose(x)
        chosen = functional.one_hot(labels, EXPERTS).to(x.dtype)  # (b, t, k, experts)
        return torch.einsum("bted,btke,btk->btd", self.every(x), chosen, shares)


class ComparedShares(Routed):
    """The same by comparing labels with the numbers of the experts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares, labels = self.choose(x)
        chosen = labels[..., None] == torch.arange(EXPERTS)
        weights = (chosen * shares[..., None]).sum(-2)
        return (self.every(x) * weights[..., None]).sum(2)


class GatheredResults(Routed):
    """Every expert works; the results of the chosen ones are gathered."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares, labels = self.choose(x)
        every = self.every(x)
        found = every.gather(2, labels[..., None].expand(-1, -1, -1, every.shape[-1]))
        return (found * shares[..., None]).sum(2)


class GatheredWeights(Routed):
    """The weights of the chosen experts are looked up for each token."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares, labels = self.choose(x)
        hidden = torch.einsum("btd,btkdf->btkf", x, self.up[labels]).relu()
        return torch.einsum("btkf,btkfd,btk->btd", hidden, self.down[labels], shares)


class Biased(Routed):
    """Labels by scores with a bias, shares without it; one expert is shared by all tokens."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.bias, self.shared = nn.Parameter(torch.randn(EXPERTS)), Mlp(s)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.sigmoid(self.router(x))
        labels = torch.topk(scores + self.bias, CHOSEN, dim=-1, sorted=False)[1]
        shares = scores.gather(-1, labels)
        weights = torch.zeros_like(scores).scatter_add_(-1, labels, shares / shares.sum(-1, keepdim=True))
        return torch.einsum("bted,bte->btd", self.every(x), weights) + self.shared(x)


class Switch(Routed):
    """One expert a token, of which each takes two tokens at most: dispatched and combined by one-hot masks."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share, label = self.router(x).softmax(-1).max(-1)
        chosen = functional.one_hot(label, EXPERTS)  # (b, t, experts)
        place = chosen.cumsum(1) * chosen  # 1, 2, ... among the tokens of an expert
        slot = (place[..., None] == torch.arange(1, 3)).to(x.dtype)  # (b, t, experts, slots)
        taken = torch.einsum("btd,btes->besd", x, slot)
        made = torch.einsum("besf,efd->besd", torch.einsum("besd,edf->besf", taken, self.up).relu(), self.down)
        return torch.einsum("besd,btes,bt->btd", made, slot, share)


class MaskedTop(Routed):
    """Scores below the k-th largest are masked out before the softmax."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.router(x)
        least = scores.topk(CHOSEN, dim=-1).values[..., -1:]
        weights = scores.masked_fill(scores < least, float("-inf")).softmax(-1)
        return torch.einsum("bted,bte->btd", self.every(x), weights)


class Grouped(nn.Module):
    """The best group of experts is chosen first, then the experts among its own."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.router = nn.Linear(s.width, 4, bias=False)
        self.up, self.down = nn.Parameter(torch.randn(4, s.width, 2)), nn.Parameter(torch.randn(4, 2, s.width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.sigmoid(self.router(x))
        groups = scores.unflatten(-1, (2, 2))
        best = groups.sum(-1).topk(1, dim=-1)[1]
        mask = torch.zeros_like(groups[..., 0]).scatter(-1, best, 1.0)[..., None].expand_as(groups).flatten(-2)
        labels = scores.masked_fill(mask == 0, 0.0).topk(1, dim=-1)[1]
        weights = torch.zeros_like(scores).scatter(-1, labels, scores.gather(-1, labels))
        hidden = torch.einsum("btd,edf->btef", x, self.up).relu()
        return torch.einsum("btef,efd,bte->btd", hidden, self.down, weights)


class SoftSlots(Routed):
    """Every expert has slots, each a mixture of all tokens."""

    def __init__(self, s: Sizes) -> None:
        super().__init__(s)
        self.slots = nn.Parameter(torch.randn(EXPERTS, 2, s.width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.einsum("btd,esd->btes", x, self.slots)
        taken = torch.einsum("btd,btes->besd", x, scores.softmax(1))
        made = torch.einsum("besf,efd->besd", torch.einsum("besd,edf->besf", taken, self.up).relu(), self.down)
        return torch.einsum("besd,btes->btd", made, scores.flatten(2).softmax(-1).view_as(scores))


class LoopedModules(nn.Module):
    """A loop over experts that are modules, each on all tokens, weighted by 0 where it was not chosen."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.router = nn.Linear(s.width, EXPERTS, bias=False)
        self.experts = nn.ModuleList(Mlp(s) for _ in range(EXPERTS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares, labels = self.router(x).softmax(-1).topk(CHOSEN, dim=-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            share = (shares * (labels == number)).sum(-1, keepdim=True)
            out = out + share * expert(x)
        return out
