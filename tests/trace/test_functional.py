"""Writes in place: what comes out is the same, no tie is lost, and no freedom without need."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.errors import GraphMergeWarning
from graphmerge.trace.capture import capture
from graphmerge.trace.functional import functional
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.outputs import choose_outputs
from graphmerge.verify import verify
from tests.modules import ln

IDS = torch.tensor([[3, 1, 4, 1, 5]])
D, F = 6, 8
Change = Callable[[torch.Tensor], torch.Tensor]


class Writes(nn.Module):
    """A feed-forward on a residual whose hidden activations are changed by ``change``."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.embed, self.up, self.down, self.head = (
            nn.Embedding(13, D),
            nn.Linear(D, F),
            nn.Linear(F, D),
            nn.Linear(D, 13),
        )
        self.change = change

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(self.change(self.up(x).tanh())))


def whole(h: torch.Tensor) -> torch.Tensor:
    h.add_(1.0).mul_(2.0)
    return h


def relu(h: torch.Tensor) -> torch.Tensor:
    return torch.relu_(h)


def first_half(h: torch.Tensor) -> torch.Tensor:
    h[..., :4] += 1.0
    return h


def one_part(h: torch.Tensor) -> torch.Tensor:
    a, _ = h.chunk(2, -1)
    a.mul_(2.0)
    return h.sin()


def one_unit(h: torch.Tensor) -> torch.Tensor:
    h[..., -1] = 3.0
    return h


def positions(h: torch.Tensor) -> torch.Tensor:
    h[:, 0] = 0.0
    return h


def masked(h: torch.Tensor) -> torch.Tensor:
    return h.masked_fill_(h > 0.5, 0.0)


def filled(h: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(h)
    out[:] = h
    return out


def interleaved(h: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(h)
    out[..., ::2] = h[..., :4].sin()
    out[..., 1::2] = h[..., 4:]
    return out


def halves_swapped(h: torch.Tensor) -> torch.Tensor:
    out = h.new_zeros(h.shape)
    out[..., :4] = h[..., 4:]
    out[..., 4:] = h[..., :4]
    return out


def view_made_before(h: torch.Tensor) -> torch.Tensor:
    seen = h.view(*h.shape[:-1], 2, 4)
    h.add_(1.0)
    return seen.flatten(-2)


def view_read_between_writes(h: torch.Tensor) -> torch.Tensor:
    seen = h.view(*h.shape[:-1], 2, 4)
    h.add_(1.0)
    first = seen.exp()
    h.mul_(h.mean(-1, keepdim=True))
    return (first + seen).flatten(-2)


def in_another_order(h: torch.Tensor) -> torch.Tensor:
    h.permute(2, 0, 1)[:4].mul_(2.0)
    return h.exp()


def through_a_chain(h: torch.Tensor) -> torch.Tensor:
    h.unflatten(-1, (2, 4)).transpose(-1, -2)[..., 1].mul_(2.0)
    return h.exp()


def transposed(h: torch.Tensor) -> torch.Tensor:
    h.mT.mul_(2.0)
    return h


def twice(h: torch.Tensor) -> torch.Tensor:
    same = h.add_(1.0)
    same.mul_(3.0)
    return h


def summed(h: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(h)
    for k in range(3):
        out += h * k
    return out


def other_dtype(h: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(h.shape, dtype=torch.float64)
    out[..., :] = h
    return out.to(h.dtype)


def complex_half(h: torch.Tensor) -> torch.Tensor:
    z = torch.view_as_complex(h.unflatten(-1, (4, 2)).contiguous())
    torch.view_as_real(z)[..., 0].mul_(2.0)
    return torch.view_as_real(z).flatten(-2)


def copied(h: torch.Tensor) -> torch.Tensor:
    other = h.transpose(1, 2).reshape(h.shape[0], -1)  # a copy: h stays
    other.zero_()
    return h


ORDERS: dict[Change, float] = {  # ln of the permutations of the eight hidden units that are left
    whole: ln(8), relu: ln(8), first_half: 2 * ln(4), one_part: 2 * ln(4), one_unit: ln(7), positions: ln(8),
    masked: ln(8), filled: ln(8), interleaved: 2 * ln(4), halves_swapped: 2 * ln(4), view_made_before: ln(8),
    view_read_between_writes: ln(8), in_another_order: 2 * ln(4), through_a_chain: 2 * ln(4), transposed: ln(8),
    twice: ln(8), summed: ln(8), other_dtype: ln(8), complex_half: ln(4), copied: ln(8),
}  # fmt: skip


@pytest.mark.parametrize("change", ORDERS, ids=lambda f: f.__name__)
def test_freedom_that_is_left(change: Change) -> None:
    model = Writes(change).eval()
    graph = gm.trace(model, IDS)
    assert graph.notes == ()
    symmetry = graph.symmetry()
    assert symmetry.log_order() == pytest.approx(ln(D) + ORDERS[change])
    found = verify(model, symmetry, IDS)
    assert found.max_error <= 1e-9


@pytest.mark.parametrize("change", ORDERS, ids=lambda f: f.__name__)
def test_the_functional_graph_computes_the_same(change: Change) -> None:
    model = Writes(change).eval()
    graph, names, _ = capture(model, Inputs.of(IDS), choose_outputs)
    flat, written = functional(graph)
    assert written == {}
    holders = [names[n.name] for n in graph.graph.nodes if n.op == "placeholder"]
    values = dict(model.named_parameters()) | {"input:0": IDS}
    with torch.no_grad():
        (got,) = torch.fx.Interpreter(flat).run(*(values[k] for k in holders), enable_io_processing=False)
        expected = model(IDS)
    torch.testing.assert_close(got, expected)


def test_nothing_to_do() -> None:
    graph, _, _ = capture(Writes(torch.sin).eval(), Inputs.of(IDS), choose_outputs)
    assert functional(graph)[0] is graph


def test_a_write_that_cannot_be_followed_pins_loudly() -> None:
    def diagonal(h: torch.Tensor) -> torch.Tensor:
        h.diagonal(dim1=1, dim2=2).mul_(2.0)
        return h

    model = Writes(diagonal).eval()
    with pytest.warns(UserWarning, match="unknown op graphmerge.opaque_write"):
        graph = gm.trace(model, IDS)
    symmetry = graph.symmetry()
    assert [g.name for g in symmetry.groups] == ["residual"]
    assert verify(model, symmetry, IDS).ok


class Remembers(nn.Module):
    """A running mean that the forward pass itself changes."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.embed, self.up, self.head = nn.Embedding(13, D), nn.Linear(D, F), nn.Linear(F, 13)
        self.register_buffer("mean", torch.zeros(F))
        self.how = how

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        h = self.up(self.embed(ids)).tanh()
        new = 0.9 * self.mean + 0.1 * h.mean((0, 1))
        if self.how in ("in place", "for later"):
            self.mean.copy_(new)
        elif self.how == "assigned":
            self.mean = new
        return self.head(h if self.how == "for later" else h - self.mean)


@pytest.mark.parametrize("how", ["in place", "assigned", "for later"])
def test_a_buffer_written_in_the_forward_pass_is_pinned_and_reported(how: str) -> None:
    model = Remembers(how).eval()
    graph = gm.trace(model, IDS)
    assert graph.notes == ("the forward pass writes mean: pinned",)
    symmetry = graph.symmetry()
    assert [g.name for g in symmetry.groups] == ["embed"]  # the hidden units stay with the mean
    assert any(
        a.tensor == "mean" and p.reason.startswith("written in place by") for p in symmetry.pinned for a in p.axes
    )
    assert not model.mean.any()  # tracing runs nothing on the model's own buffers


def test_a_buffer_that_is_only_read_moves_along() -> None:
    model = Remembers("not at all").eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert {a.tensor for a in symmetry["up"].members} == {"up.weight", "up.bias", "head.weight", "mean"}


class UpTo(nn.Module):
    """A slice that ends where a tensor says, and something written into it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(13, 6), nn.Linear(6, 13)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids).clone()
        x.narrow(1, (ids > 3).sum() - 1, 1).mul_(torch.arange(6.0))
        return self.head(x)


def test_a_slice_whose_place_a_tensor_says_is_a_view() -> None:
    model, ids = UpTo().eval(), torch.tensor([[1, 4, 2, 5]])
    with pytest.warns(GraphMergeWarning, match="opaque_write"):
        symmetry = gm.trace(model, ids).symmetry()
    assert symmetry.log_order() == 0
    assert gm.verify(model, symmetry, ids).ok
