"""Registering rules, and what becomes of an op, or a use of one, that no rule describes."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.rules import elementwise, known_ops, op_key, registry, rule
from graphmerge.rules.elementwise import POINTWISE
from tests.algebra.solved import symmetry_of
from tests.rules.calls import run
from tests.rules.examples import Example, f, index, mask

X = torch.tensor([[1.0, 2.0, 3.0]])


@torch.library.custom_op("graphmerge_tests::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@twice.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Doubled(nn.Module):
    """An MLP around an op that nobody has described."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(twice(self.up(x)))


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))


def test_strict_raises() -> None:
    with pytest.raises(gm.UnknownOp, match=r"unknown op graphmerge_tests\.twice\.default.*; register a rule for it"):
        gm.trace(Doubled(), (X,), strict=True)


@pytest.mark.usefixtures("rules")
def test_a_new_op_costs_one_line() -> None:
    rule("graphmerge_tests.twice", kind="elementwise")(elementwise.pointwise)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = gm.trace(Doubled(), (X,), strict=True)
    assert [group.size for group in graph.symmetry().groups] == [5]


@pytest.mark.usefixtures("rules")
def test_a_second_registration_raises() -> None:
    with pytest.raises(ValueError, match=r"op aten\.relu has a rule already: pointwise"):
        rule("aten.relu", kind="elementwise")(elementwise.pointwise)


def test_keys() -> None:
    assert op_key("aten.add_.Tensor") == op_key("aten.add.Scalar") == "aten.add"
    assert op_key("aten.view.default") == "aten.view"
    assert op_key("aten.view.dtype") == "aten.view.dtype"
    assert op_key("aten.__and__.Tensor") == "aten.__and__"


def test_pointwise_is_sorted_and_exists() -> None:
    assert list(POINTWISE) == sorted(set(POINTWISE))


@pytest.mark.parametrize("op", known_ops())
def test_exists(op: str) -> None:
    namespace, name, *overload = op.split(".")
    packet = getattr(getattr(torch.ops, namespace), name)
    assert not overload or overload[0] in packet.overloads()


NOT_COVERED = {
    "always on": Example("aten.dropout.default", (f(3, 4), 0.5, True)),
    "random": Example("aten.scaled_dot_product_attention.default", (f(4, 3), f(4, 3), f(4, 3), None, 0.5)),
    "transposed": Example("aten.convolution.default", (f(2, 4, 5), f(4, 3, 2), None, [1], [0], [1], True, [0], 1)),
    "a mask for each head": Example(
        "aten.scaled_dot_product_attention.default",
        (f(1, 4, 3, 2), f(1, 2, 3, 2), f(1, 2, 3, 2), f(1, 4, 3, 3)),
        {"enable_gqa": True},
    ),
    "a mask that selects": Example("aten.index.Tensor", (f(3, 4), [mask(3), index(4, 2)])),
    "a flattened input": Example("aten.take_along_dim.default", (f(3, 4), index(12, 5))),
    "units 0::2 of 5": Example("aten.slice.Tensor", (f(5, 3), 0, 0, 5, 2)),
    "not constant": Example("aten.pad.default", (f(3, 4), [1, 1], "reflect")),
    "a flattened": Example("aten.repeat_interleave.self_int", (f(3, 4), 2)),
    "on the left": Example("aten.linalg_solve_triangular.default", (f(3, 3), f(2, 3)), {"upper": True, "left": False}),
    "places": Example("aten.where.default", (mask(3, 4),)),
    "broadcast batches": Example(
        "aten.scaled_dot_product_attention.default", (f(2, 2, 4, 3), f(1, 2, 4, 3), f(1, 2, 4, 3))
    ),
}


@pytest.mark.parametrize("name", NOT_COVERED)
def test_a_use_that_its_rule_does_not_describe_pins_everything(name: str) -> None:
    call = run(NOT_COVERED[name])
    derived = call.derived()
    assert derived.unknown is not None
    assert derived.unknown.startswith(f"no rule for this use of {call.node.op}: ")
    system = call.system()
    pinned = {t.tensor for equation in system.equations for t in equation.terms if equation.pins}
    assert pinned >= {r.name for r in call.node.outputs if r.shape} | {k for k, v in call.values.items() if v.dim()}
    assert symmetry_of(system).groups == ()
