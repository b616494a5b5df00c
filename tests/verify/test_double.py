"""A traced graph in float64, every cast and constant promoted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from graphmerge.trace.inputs import Inputs
from graphmerge.trace.sizes import trace_once
from graphmerge.verify import double
from graphmerge.verify.double import Recorded, change, promote, run_double


@pytest.mark.parametrize(
    ("value", "expected"),
    [(torch.float32, torch.float64), (torch.bfloat16, torch.float64), (torch.complex64, torch.complex128),
     (torch.int64, torch.int64), (torch.bool, torch.bool), (3, 3), (None, None)],
)  # fmt: skip
def test_promote(value: object, expected: object) -> None:
    assert promote(value) == expected
    if isinstance(value, torch.dtype):
        assert promote(torch.zeros(2, dtype=value)).dtype == expected


class Casts(nn.Module):
    """An op in float32 on the way, a float32 constant, and a write into the result of a cast."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = (x * self.w).to(torch.float32)
        low += 1.0
        return low.exp().to(x.dtype) * torch.full((4,), 0.5) + x


def test_nothing_is_left_of_float32() -> None:
    torch.manual_seed(0)
    model, x = Casts(), torch.randn(3, 4, dtype=torch.float64)
    program = trace_once(model, Inputs.of(x))
    (got,) = run_double(program, {"w": model.w.detach()}, {"0": x}).values()
    exact = (x * model.w.detach() + 1.0).exp() * 0.5 + x
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, exact, rtol=1e-14, atol=1e-14)


def test_runs_do_not_disturb_their_arguments() -> None:
    class Writes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mul_(2.0)

    x = torch.ones(2, 3)
    program = trace_once(Writes(), Inputs.of(x.clone()))
    for _ in range(2):
        assert run_double(program, {}, {"0": x})["output"].eq(2.0).all()
    assert x.eq(1.0).all()


class Two(nn.Module):
    """Two layers in a row; dropout that is never off, if asked for."""

    def __init__(self, draws: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.draws = nn.Linear(4, 5), nn.Linear(5, 3), draws

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x).sin()
        return self.b(nn.functional.dropout(x, 0.5, training=True) if self.draws else x)


@pytest.mark.parametrize("draws", [False, True])
@pytest.mark.parametrize("names", [(), ("a.weight",), ("b.weight",), ("b.bias", "a.bias")])
def test_a_recorded_run_computes_what_other_weights_reach(draws: bool, names: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    model, x = Two(draws), torch.randn(2, 4, dtype=torch.float64)
    program = trace_once(model, Inputs.of(x))
    weights = {name: p.detach().double() for name, p in model.named_parameters()}
    recorded = Recorded(program, weights, {"0": x})
    assert torch.equal(recorded.outputs["output"], run_double(program, weights, {"0": x})["output"])
    for _ in range(2):  # what was recorded is not used up
        other = {name: torch.randn_like(weights[name]) for name in names}
        expected = run_double(program, weights | other, {"0": x})["output"]
        assert torch.equal(recorded.outputs_with(weights | other)["output"], expected)
        assert torch.equal(recorded.outputs_with(other)["output"], expected)


def test_a_recorded_run_computes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = Two(), torch.randn(2, 4, dtype=torch.float64)
    program = trace_once(model, Inputs.of(x))
    weights = {name: p.detach().double() for name, p in model.named_parameters()}
    recorded = Recorded(program, weights, {"0": x})
    ran: list[str] = []
    run_node = double._Double.run_node

    def counted(self: double._Double, n: torch.fx.Node) -> object:
        if n.op == "call_function":
            ran.append(n.name)
        return run_node(self, n)

    monkeypatch.setattr(double._Double, "run_node", counted)
    recorded.outputs_with({"b.bias": torch.zeros(3, dtype=torch.float64)})
    assert len(ran) == 1
    recorded.outputs_with({"a.bias": torch.zeros(5, dtype=torch.float64)})
    assert len(ran) == 4


A = torch.tensor([1.0, -4.0])
CHANGES = {
    "nothing": (A, A, 0.0),
    "relative to the largest entry": (A, A + 1.0, 0.25),
    "infinities in place": (torch.tensor([1.0, -torch.inf]), torch.tensor([1.0, -torch.inf]), 0.0),
    "a NaN that was not there": (A, torch.tensor([1.0, torch.nan]), float("inf")),
    "a NaN in place": (torch.tensor([2.0, torch.nan]), torch.tensor([1.0, torch.nan]), 0.5),
    "integers": (A.long(), A.long() + 1, 1.0),
    "all zero before": (torch.zeros(2), torch.ones(2), float("inf")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change(name: str) -> None:
    before, after, expected = CHANGES[name]
    found = change({"y": promote(before)}, {"y": promote(after)})
    assert found == pytest.approx(expected) or (expected == float("inf") and found > 1e100)
