"""Counts of models small enough to count by hand."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.certify import CertifyError, count
from graphmerge.errors import GraphMergeError

IDS = torch.tensor([[1, 2]])


def ln(*sizes: int) -> float:
    """``Σ ln n!``"""
    return sum(math.lgamma(n + 1) for n in sizes)


def order(model: nn.Module, inputs: torch.Tensor) -> float:
    """The log-order, with nothing counted apart."""
    found = count(model, inputs)
    assert (found.slices_log_order, found.slices) == (0, ())
    return found.log_order


class Residual(nn.Module):
    """``head(x + f(x) + g(f(x)) ...)`` on an embedding."""

    def __init__(self, *layers: nn.Module, width: int = 3) -> None:
        super().__init__()
        self.embed = nn.Embedding(4, width)
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(width, 4, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)


class Attention(nn.Module):
    """Heads of which each has its own queries, keys and values."""

    def __init__(self, width: int, heads: int, qk: int, v: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k = nn.Linear(width, heads * qk), nn.Linear(width, heads * qk)
        self.v, self.out = nn.Linear(width, heads * v), nn.Linear(heads * v, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (self.q, self.k, self.v))
        return self.out(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2))


class Gated(nn.Module):
    """Gate and value from one projection."""

    def __init__(self, width: int, wide: int, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.both, self.out = nn.Linear(width, 2 * wide), nn.Linear(wide, width)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, value = self.both(x).chunk(2, -1)
        return self.out(self.act(gate) * value)


def mlp(width: int, wide: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))


@pytest.mark.parametrize("wide", [1, 2, 5])
def test_hidden_units(wide: int) -> None:
    assert order(mlp(2, wide), torch.rand(1, 2)) == pytest.approx(ln(wide))


def test_two_hidden_layers() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    assert order(model, torch.rand(1, 2)) == pytest.approx(ln(3, 4))


def test_residual_is_one_group() -> None:
    assert order(Residual(mlp(3, 4)), IDS) == pytest.approx(ln(3, 4))


def test_one_head() -> None:
    assert order(Residual(Attention(3, 1, 4, 2)), IDS) == pytest.approx(ln(3, 4, 2))


def test_heads_are_wreathed() -> None:
    assert order(Residual(Attention(3, 3, 2, 3)), IDS) == pytest.approx(ln(3, 3) + 3 * ln(2, 3))


class Experts(nn.Module):
    """Stacked experts of which a router chooses two."""

    def __init__(self, width: int, experts: int, wide: int, choose: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.router, self.choose = nn.Linear(width, experts), choose
        self.up = nn.Parameter(torch.zeros(experts, width, wide))
        self.down = nn.Parameter(torch.zeros(experts, wide, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share = self.choose(self.router(x))  # (b, t, experts)
        made = (x[..., None, None, :] @ self.up).relu() @ self.down  # (b, t, experts, 1, width)
        return (share[..., None] * made.squeeze(-2)).sum(-2)


def by_scatter(logits: torch.Tensor) -> torch.Tensor:
    values, where = logits.topk(2)
    return torch.zeros_like(logits).scatter(-1, where, values.softmax(-1))


def by_one_hot(logits: torch.Tensor) -> torch.Tensor:
    where = logits.topk(2).indices
    hot = torch.nn.functional.one_hot(where, logits.shape[-1])  # (b, t, 2, experts)
    return (hot * logits.gather(-1, where)[..., None]).sum(-2)


def by_number(logits: torch.Tensor) -> torch.Tensor:
    return by_scatter(logits) * logits.argmax(-1, keepdim=True)


@pytest.mark.parametrize(
    ("choose", "free"), [(by_scatter, 4), (by_one_hot, 4), (lambda x: x.softmax(-1), 4), (by_number, 1)]
)
def test_routed_experts_trade_places(choose: Callable[..., torch.Tensor], free: int) -> None:
    """The two that are chosen are chosen by value; only the number of an expert tells it from the others."""
    assert order(Residual(Experts(3, 4, 2, choose)), IDS) == pytest.approx(ln(3, free) + 4 * ln(2))


def test_a_choice_among_equals_rests_on_their_places() -> None:
    """Logits that come twice: the first of each pair is chosen, and no swap of the halves can be excused."""

    def twice(logits: torch.Tensor) -> torch.Tensor:
        return by_scatter(logits[..., [0, 1, 0, 1]])

    assert order(Residual(Experts(3, 4, 2, twice)), IDS) == pytest.approx(ln(3) + 4 * ln(2))


def test_sharing_decides() -> None:
    layer = mlp(3, 4)
    assert order(Residual(layer, layer), IDS) == pytest.approx(ln(3, 4))
    assert order(Residual(mlp(3, 4), mlp(3, 4)), IDS) == pytest.approx(ln(3, 4, 4))
    up, down = nn.Linear(3, 3), nn.Linear(3, 3)
    one, other = nn.Sequential(up, nn.Tanh(), nn.Linear(3, 3)), nn.Sequential(nn.Linear(3, 3), nn.Tanh(), down)
    assert order(Residual(one, other), IDS) == pytest.approx(ln(3, 3, 3))
    up.weight = down.weight  # (hidden, residual) of one is (residual, hidden) of the other
    assert order(Residual(one, other), IDS) == pytest.approx(ln(3))


def test_views_of_one_storage_are_one_tensor() -> None:
    up, down = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    model = Residual(nn.Sequential(up, nn.GELU(), down))
    assert order(model, IDS) == pytest.approx(ln(3, 3))
    down.weight.data = up.weight.data.t()  # two parameters, one storage: (hidden, residual) and (residual, hidden)
    assert order(model, IDS) == pytest.approx(ln(3, 3))
    down.weight.data = up.weight.data  # hidden is residual
    assert order(model, IDS) == pytest.approx(ln(3))


def test_fused_gate() -> None:
    assert order(Residual(Gated(3, 4, torch.nn.functional.silu)), IDS) == pytest.approx(ln(3, 4))


def test_branches_of_a_bilinear_gate_are_counted_apart() -> None:
    found = count(Residual(Gated(3, 4, lambda x: x)), IDS)
    assert found.log_order == pytest.approx(ln(3, 4))
    assert found.slices_log_order == pytest.approx(4 * math.log(2))
    assert found.slices == ("layers.0.both.weight", "layers.0.both.bias")


def test_rows_of_a_look_up_stay() -> None:
    """Without positions the two tokens could trade places; an embedding's rows are fixed."""

    class Pooled(Residual):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return super().forward(ids).mean(1)

    assert order(Pooled(mlp(3, 2)), IDS) == pytest.approx(ln(3, 2))


class Pair(nn.Module):
    """An input times a formula of two or three numbers, from one tensor or each a tensor of its own."""

    def __init__(self, formula: Callable[..., torch.Tensor], size: int = 2, together: bool = True) -> None:
        super().__init__()
        whole = [nn.Parameter(torch.zeros(size))] if together else [nn.Parameter(torch.zeros(())) for _ in range(size)]
        self.numbers, self.formula, self.together = nn.ParameterList(whole), formula, together

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numbers = self.numbers[0].tile(2)[: len(self.numbers[0])] if self.together else self.numbers
        return x * self.formula(*numbers)


@pytest.mark.parametrize(
    ("formula", "swaps"),
    [
        (lambda a, b: a + b, 2),
        (lambda a, b: a - b, 1),
        (lambda a, b: a / b, 1),
        (lambda a, b: a + 2 * b, 1),
        (lambda a, b: torch.stack([a, b, b]).sum(), 1),
        (lambda a, b: torch.stack([a, b, b, a]).sum(), 2),
        (lambda a, b: (a + b).exp() * (b + a).tanh() + b * a, 2),
        (lambda a, b, c: a + b + c, 2),
        (lambda a, b, c: torch.stack([a, b, c]).sum(), 6),
        (lambda a, b, c: torch.where(a > 0, b, c), 1),
    ],
)
def test_who_may_trade_places(formula: Callable[..., torch.Tensor], swaps: int) -> None:
    """Operands of a sum or product, but not of another op; sums one after the other are not reassociated."""
    size = formula.__code__.co_argcount
    found = count(Pair(formula, size), torch.ones(1))
    assert found.log_order == 0  # single units are slices
    assert found.slices_log_order == pytest.approx(math.log(swaps))
    assert order(Pair(formula, size, together=False), torch.ones(1)) == 0  # entries keep to their tensor


def test_equal_operations_are_one() -> None:
    """Else the two products, equal as they are, could trade places by themselves."""
    assert order(Pair(lambda a, b: a * b + b * a, together=False), torch.ones(1)) == 0


def test_unread_entries_do_not_count() -> None:
    class Positions(Residual):
        def __init__(self) -> None:
            super().__init__(mlp(3, 2))
            self.positions = nn.Parameter(torch.zeros(7, 3))
            self.unread = nn.Parameter(torch.zeros(9))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.layers[0](self.embed(ids) + self.positions[: ids.shape[1]]))

    assert order(Positions(), IDS) == pytest.approx(ln(3, 2, 3))


def test_values_of_parameters_are_never_read() -> None:
    model = Residual(Attention(3, 2, 2, 2), mlp(3, 4))
    expected = count(model, IDS)
    for parameter in model.parameters():
        parameter.data.zero_()
    same, meta = count(model, IDS), count(model.to("meta"), IDS)
    assert (same.log_order, same.nodes, same.edges) == (expected.log_order, expected.nodes, expected.edges)
    assert (meta.log_order, meta.nodes, meta.edges) == (expected.log_order, expected.nodes, expected.edges)


def test_running_statistics_move_and_tables_do_not() -> None:
    class Scaled(nn.Module):
        def __init__(self, table: torch.Tensor) -> None:
            super().__init__()
            self.up, self.norm, self.down = nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)
            self.norm.running_mean = torch.tensor([1.0, 2.0, 3.0])
            self.register_buffer("table", table)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down(self.norm(self.up(x)) * self.table)

    assert order(Scaled(torch.ones(3)), torch.rand(2, 2)) == pytest.approx(ln(3))
    assert order(Scaled(torch.tensor([1.0, 2.0, 2.0])), torch.rand(2, 2)) == pytest.approx(ln(2))


@pytest.mark.parametrize(("saved", "sizes"), [(True, (3, 2)), (False, (3, 3, 2))])
def test_a_saved_buffer_that_says_nothing_yet_moves(saved: bool, sizes: tuple[int, ...]) -> None:
    """Two heads share its three entries, so they are permuted alike; one that is not saved is the same number."""

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(2, 6), nn.Linear(6, 2)
            self.register_buffer("scale", torch.full((3,), 0.5), persistent=saved)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down((self.up(x).view(-1, 2, 3).softmax(-1) * self.scale).flatten(1))

    model = Heads()
    assert order(model, torch.rand(1, 2)) == pytest.approx(ln(*sizes))
    found = gm.trace(model, torch.rand(1, 2)).symmetry()
    assert found.log_order() == pytest.approx(ln(*sizes))


def test_what_a_buffer_holds_may_decide() -> None:
    class Switched(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(2, 4), nn.Linear(4, 2)
            self.register_buffer("share", torch.full((1,), value))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = self.up(x).exp()
            return self.down(hidden if self.share[0] > 0 else hidden * torch.arange(4)) * self.share

    assert order(Switched(1.0), torch.rand(1, 2)) == pytest.approx(ln(4))
    assert order(Switched(-1.0), torch.rand(1, 2)) == 0


def test_a_model_is_left_as_it_was() -> None:
    model = Residual(mlp(3, 2)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    count(model, IDS)
    assert model.training
    assert all(torch.equal(v, before[k]) and type(v) is torch.Tensor for k, v in model.state_dict().items())


def test_no_generation_cache() -> None:
    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config, self.up, self.down = SimpleNamespace(use_cache=True), nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down(self.up(x).exp()) if not self.config.use_cache else x

    model = Caching()
    assert order(model, torch.rand(1, 2)) == pytest.approx(ln(3))
    assert model.config.use_cache


class Routed(nn.Module):
    def __init__(self, how: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.up, self.how = nn.Linear(2, 4), how

    def forward(self, x: torch.Tensor) -> Any:
        return self.how(self.up(x))


@pytest.mark.parametrize(
    ("how", "op"),
    [
        (lambda x: x if x.sum() > 0 else -x, "_local_scalar_dense"),
        (lambda x: x[x > 0], "index"),
        (lambda x: x * sum(x.argmax(-1).tolist()), "tolist"),
        (lambda x: x.gather(1, x.topk(1).indices + 1), "gather"),
        (lambda x: x[:, (x > 0).nonzero()[:, 0]], "nonzero"),
        (lambda x: x.scatter(1, x.topk(1).indices.repeat(1, 2), x), "may coincide"),
        (lambda x: torch.linalg.det(x.reshape(2, 2)), "det"),
    ],
)
def test_what_cannot_be_unrolled_is_named(how: Callable[[torch.Tensor], torch.Tensor], op: str) -> None:
    with pytest.raises(CertifyError, match=op):
        count(Routed(how), torch.rand(1, 2))
    assert issubclass(CertifyError, GraphMergeError)


class Given(nn.Module):
    """What is computed depends on numbers that are given, not on weights."""

    def __init__(self, how: Callable[[torch.Tensor], bool]) -> None:
        super().__init__()
        self.up, self.down, self.how = nn.Linear(2, 4), nn.Linear(4, 2), how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.up(x).exp()
        return self.down(hidden if self.how(x) else hidden * torch.arange(4))


@pytest.mark.parametrize(
    "how",
    [
        lambda x: x.sum() > 0,
        lambda x: (x.sum(-1) != -0.25).all(),
        lambda x: (x > 0).any() and x.amax() > 0.5,
        lambda x: x.mean() > 0 and x.prod() > 0 and (x > 0).sum() == 2,
    ],
)
def test_numbers_that_are_given_may_decide(how: Callable[[torch.Tensor], bool]) -> None:
    assert order(Given(how), torch.tensor([[0.25, 0.75]])) == pytest.approx(ln(4))
    assert order(Given(how), torch.tensor([[-0.25, 0.0]])) == 0


def test_an_output_that_is_not_there() -> None:
    with pytest.raises(CertifyError, match="no output 'scores'; the model returns logits"):
        count(Routed(lambda x: {"logits": x}), torch.rand(1, 2), outputs=("scores",))
    with pytest.raises(CertifyError, match="no output depends on a parameter"):
        count(Routed(lambda x: torch.ones(2)), torch.rand(1, 2))


def test_igraph_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(CertifyError, match=r"pip install 'graphmerge\[certify\]'"):
        count(mlp(2, 2), torch.rand(1, 2))
