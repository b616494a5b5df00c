"""From the torch.fx graph to a Program: constants, buffers, names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.moving import moving_tensors
from graphmerge.trace.program import Program
from graphmerge.trace.sizes import trace_once
from graphmerge.verify import verify
from tests.modules import ln

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Net(nn.Module):
    """Embedding, what a test adds, head."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(13, width), nn.Linear(width, 7)

    def forward(self, ids: torch.Tensor) -> Any:
        return self.head(self.middle(self.embed(ids)))

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x


def program(model: nn.Module) -> Program:
    return trace_once(model.eval(), Inputs.of(IDS))


def order(model: nn.Module) -> float:
    """Log-order, after the check that it is sound."""
    symmetry = gm.trace(model.eval(), IDS).symmetry()
    assert verify(model, symmetry, IDS).max_error <= 1e-9
    return symmetry.log_order()


class Named(Net):
    """Parameters with the names of ops."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.randn(6))
        self.split = nn.ParameterList([torch.randn(3), torch.randn(3)])

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.split(3, -1)
        return torch.cat([a * self.split[0], b * self.split[1]], -1) + self.mean - x.mean(-1, keepdim=True)


def test_parameters_may_be_named_like_ops() -> None:
    model = Named()
    assert order(model) == pytest.approx(2 * ln(3))
    kinds = {name: data["kind"] for name, data in gm.trace(model, IDS).nx.nodes(data=True)}
    assert kinds["mean"] == kinds["split.0"] == "parameter"


class Tables(Net):
    """A table made in forward, one in a buffer, and one written before it is read."""

    def __init__(self, table: torch.Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("table", table, persistent=False)

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        places = torch.arange(x.shape[1])[:, None].float()
        empty = torch.empty(6)
        empty.fill_(2.0)
        x = x * places.sin() + torch.zeros_like(x) * empty
        return x if self.table is None else x * self.table


def test_what_depends_on_no_parameter_and_no_input_is_a_constant() -> None:
    made = program(Tables())
    assert {n.op.split(".")[1] for n in made.nodes} == {"embedding", "mul", "add", "linear"}
    assert order(Tables()) == pytest.approx(ln(6))


def test_a_constant_pins_what_it_varies_along() -> None:
    assert order(Tables(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))) == 0
    assert order(Tables(torch.full((6,), 2.0))) == pytest.approx(ln(6))


class Norm(Net):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 6)

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(self.norm(self.up(x).flatten(0, 1)).relu().unflatten(0, x.shape[:2]))


def test_running_statistics_move_with_their_units() -> None:
    symmetry = gm.trace(Norm().eval(), IDS).symmetry()
    assert order(Norm()) == pytest.approx(ln(6) + ln(5))
    assert {a.tensor for a in symmetry["ffn"].members} == {
        "up.weight", "up.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "down.weight",
    }  # fmt: skip


def test_which_buffers_move() -> None:
    model = Norm()
    model.register_buffer("table", torch.arange(6.0))
    model.register_buffer("ids", torch.arange(6))
    model.register_buffer("not_yet", torch.zeros(6))
    model.register_buffer("passing", torch.zeros(6), persistent=False)
    model.register_buffer("mask", torch.full((6,), -torch.inf))
    buffers = {name for name, kind in moving_tensors(model).items() if kind == "buffer"}
    assert buffers == {"norm.running_mean", "norm.running_var", "not_yet"}


class Dead(Net):
    """A pooler that no output reads, and a slice of which only the shape is used."""

    def __init__(self) -> None:
        super().__init__()
        self.pooler = nn.Linear(6, 4)

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        self.pooler(x).tanh()
        return x + torch.ones(x[..., 2:].shape[-1]).sum()


def test_dead_code_ties_parameters_and_cuts_nothing() -> None:
    model = Dead()
    assert order(model) == pytest.approx(ln(6))
    symmetry = gm.trace(model, IDS).symmetry()
    assert ("pooler.weight", 1) in {(a.tensor, a.axis) for a in symmetry.groups[0].members}
    unread = [p for p in symmetry.pinned if p.reason == "unread: no output depends on it"]
    assert {(a.tensor, a.axis) for p in unread for a in p.axes} == {("pooler.weight", 0), ("pooler.bias", 0)}


class Random(Net):
    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn(6)


def test_random_ops_are_no_constants() -> None:
    with pytest.warns(UserWarning, match=r"unknown op aten\.randn"):
        graph = gm.trace(Random().eval(), IDS)
    assert graph.symmetry().groups == ()


class Unread(Net):
    """Only the first five positions of a table are read, whatever the length."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(9, 6))

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x + (self.places * 2)[:5].mean(0)


def test_rows_that_are_cut_off_are_pinned_as_unread() -> None:
    symmetry = gm.trace(Unread().eval(), IDS).symmetry()
    pins = {(str(a), p.reason) for p in symmetry.pinned for a in p.axes if a.tensor == "places"}
    assert ("places[0] [5..8] as 4", "unread: no output depends on it") in pins
    read = [g for g in symmetry.groups if any(a.tensor == "places" and a.axis == 0 for a in g.members)]
    assert [g.size for g in read] == [5]  # their mean does not know their order


class Muted(Net):
    """A layer that is given nothing but zeros: no output depends on its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(6, 6, bias=False)

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.idle(torch.zeros_like(x))


def test_what_zeros_are_multiplied_with_is_no_freedom() -> None:
    assert order(Muted()) == pytest.approx(ln(6))


class MutedWithBias(Muted):
    """One that has a bias: it is left, and the weights are read no more than without."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(7, 6)

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.idle(torch.zeros_like(x[..., :1]).expand(*x.shape[:-1], 7))


def test_what_zeros_are_multiplied_with_is_read_no_more_with_a_bias() -> None:
    symmetry = gm.trace(MutedWithBias().eval(), IDS).symmetry()
    assert [g.size for g in symmetry.groups] == [6]
    assert {a.tensor for a in symmetry.groups[0].members} >= {"idle.bias"}
    assert ("idle.weight", "unread: no op reads this part") in {
        (a.tensor, p.reason) for p in symmetry.pinned for a in p.axes
    }


class Chooses(nn.Module):
    """``where`` with a mask that is no input: which side counts is known, if it is one side."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Embedding(13, 6), nn.Embedding(13, 6), nn.Linear(6, 13)
        self.mask = mask

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.where(self.mask, self.left(ids), self.right(ids) * torch.arange(6)))


@pytest.mark.parametrize(
    ("mask", "free"),
    [
        pytest.param(torch.tensor(True), 1, id="the left side, which can move"),
        pytest.param(torch.tensor(False), 0, id="the right side, which cannot"),
        pytest.param(torch.arange(6) > 2, 0, id="both, which is held as a whole"),
    ],
)
def test_where_a_constant_takes_one_side_the_other_holds_nothing(mask: torch.Tensor, free: int) -> None:
    model = Chooses(mask).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry.log_order() == pytest.approx(free * ln(6))
    assert verify(model, symmetry, IDS).ok
    assert gm.certify(model, IDS).complete is (mask.dim() == 0)  # of a mask of units each side is left less than it has
