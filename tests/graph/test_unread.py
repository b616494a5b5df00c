"""What no output depends on is pinned; what one depends on by a single number is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.verify import verify
from tests.modules import ln

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Two(nn.Module):
    """Two heads with a hidden space each, put together by ``join``."""

    def __init__(self, join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.embed = nn.Embedding(13, 6)
        self.a, self.b = (nn.Sequential(nn.Linear(6, wide), nn.Tanh(), nn.Linear(wide, 3)) for wide in (8, 5))
        self.join = join

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.join(self.a(x), self.b(x))


# and what the hidden units may do; where the second head's outputs are only summed, they may move too
JOINS: dict[str, tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], float]] = {
    "both": (lambda a, b: a + b, ln(8) + ln(5)),
    "the second is dead": (lambda a, b: a, ln(8)),
    "only its shape counts": (lambda a, b: a + torch.ones_like(b), ln(8)),
    "times a number": (lambda a, b: a * b.sum(), ln(8) + ln(5) + ln(3)),
    "a number decides": (lambda a, b: a if b.sum() > 0 else -a, ln(8) + ln(5) + ln(3)),
    "one number comes out": (lambda a, b: (a * b).sum(), ln(8) + ln(5) + ln(3)),
    "through a softmax of which one part is kept": (
        lambda a, b: torch.cat([a, b], -1).softmax(-1)[..., 3:], ln(8) + ln(5) + ln(3),
    ),
    "a part that is cut off": (lambda a, b: torch.cat([a, b], -1).exp()[..., :3], ln(8)),
}  # fmt: skip


@pytest.mark.parametrize("name", JOINS)
def test_what_an_output_depends_on(name: str) -> None:
    join, left = JOINS[name]
    torch.manual_seed(0)
    model = Two(join).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry.log_order() == pytest.approx(ln(6) + left)
    assert verify(model, symmetry, IDS).ok
    unread = {a.tensor for p in symmetry.pinned if p.reason.startswith("unread") for a in p.axes}
    assert ("b.0.bias" in unread) == (left == ln(8))


def test_dead_weights_move_with_what_they_are_tied_to() -> None:
    symmetry = gm.trace(Two(lambda a, b: a).eval(), IDS).symmetry()
    residual = next(g for g in symmetry.groups if g.size == 6)
    assert ("b.0.weight", 1) in {(a.tensor, a.axis) for a in residual.members}


class NoneChosen(nn.Module):
    """No position is written: what comes in goes out, though one argument of the op has no entries."""

    def __init__(self, write: str) -> None:
        super().__init__()
        self.write = write
        self.embed, self.other, self.head = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x, mask = self.embed(ids), ids == 8
        chosen = self.other(x[mask])
        if self.write == "masked_scatter":
            return self.head(x.masked_scatter(mask[..., None], chosen).tanh())
        x[mask] = chosen
        return self.head(x.tanh())


@pytest.mark.parametrize("write", ["masked_scatter", "index_put"])
def test_an_op_with_an_empty_argument_still_ties_the_others(write: str) -> None:
    model, ids = NoneChosen(write).eval(), torch.tensor([[1, 2, 3, 4, 5]])
    graph = gm.trace(model, ids)
    symmetry = graph.symmetry()
    assert graph.unknown == ()
    assert symmetry.log_order() == pytest.approx(ln(6))
    for some in (ids, torch.tensor([[8, 1, 8, 2, 8]])):  # what nothing went through is tied for when something does
        element = symmetry.random(seed=1)
        with torch.no_grad():
            assert torch.allclose(model(some), element.apply(model)(some), atol=1e-6)
