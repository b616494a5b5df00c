"""The fast tracer: the graph that make_fx makes, and the slow way where it does not follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from graphmerge.trace import record
from graphmerge.trace.capture import (
    Traced,
    _attempt,
    _recorded,
    _recorded_real,
    _traced_fake,
    _traced_real,
    capture,
)
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.outputs import choose_outputs
from tests.families import FAMILIES
from tests.modules import VARIANTS, variant

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Around(nn.Module):
    """An embedding, something that a test is about, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(13, 6), nn.Linear(6, 13)
        self.table = torch.arange(6.0)  # neither a parameter nor a buffer

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.middle(self.embed(ids)))


class Aliases(Around):
    """Ops that return their argument itself, then a write into it."""

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            y = torch.nn.functional.dropout(x.to(torch.float32).contiguous(), training=False)
            y += 1
        return x


class Parts(Around):
    """Lists of results, in two calls that are alike."""

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            a, b = x.split(3, dim=-1)
            values, _ = torch.cat([b, a], -1).sort(-1)
            x = values + torch.tensor([1.0, 2.0]).sum() + self.table
        return x


class Factories(Around):
    """Numbers of several types in calls that are alike but for them, and tensors made on the way."""

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        n = torch.arange(x.shape[1])
        whole, real, truth = n + 1, n + 1.0, n + True
        return x + torch.stack([whole, real, truth]).sum(0)[:, None] * (n == True)[:, None] + torch.zeros(6)  # noqa: E712


class Reads(Around):
    """Python code sees a value."""

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x * float(torch.tensor([2.0]).item())


class Branches(Around):
    """Values decide: what is computed, how often, and the shape of what comes out."""

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0 or torch.equal(x, x + 1):
            x = x - x.mean()
        for _ in range(int(x.argmax() % 3) + 1):
            x = x + self.table
        kept = x[x[..., 0] > x.max().item() - 100]
        return torch.cat([kept, x.flatten(0, 1)[(x.abs() > 0).all(-1).nonzero()[:, 1][:1]]])


class Writes(Around):
    """In place, through views, and arguments that come back as they are."""

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        y = x.clone().to(torch.float32)
        y[..., :2] = x[..., 2:4]
        y.mul_(2 if bool((y > 0).any()) else 3)
        return y + self.embed.weight.sum(0)


def described(traced: Traced) -> list[tuple[Any, ...]]:
    """Every node but the switches of autograd: name, target, arguments, form of its value, place in the model."""

    def form(value: Any) -> Any:
        return (value.shape, value.stride(), value.dtype) if isinstance(value, torch.Tensor) else None

    graph, names = traced
    found = []
    for node in graph.graph.nodes:
        if "grad_enabled" in node.name or "autocast" in node.name:
            continue
        value = node.meta.get("val")
        forms = [form(v) for v in value] if isinstance(value, (list, tuple)) else form(value)
        place = node.meta.get("graphmerge") if node.op == "call_function" else names.get(node.name)
        found.append((node.op, node.name, str(node.target), str(node.args), str(node.kwargs), forms, place))
    return found


def both(model: nn.Module, inputs: Inputs, real: bool = False) -> tuple[Traced, Traced]:
    def choose(returned: Any) -> dict[str, torch.Tensor]:
        return choose_outputs(returned)

    fast, slow = (_recorded_real, _traced_real) if real else (_recorded, _traced_fake)
    with torch.no_grad():
        return _attempt(model, inputs, choose, fast), _attempt(model, inputs, choose, slow)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_recorded_as_make_fx_traces_them(name: str) -> None:
    model = FAMILIES[name].model()
    fast, slow = both(model, default_inputs(model))
    assert described(fast) == described(slow)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_recorded_as_make_fx_traces_them(name: str) -> None:
    model, ids, _ = variant(name)
    fast, slow = both(model, Inputs.of((ids,)))
    assert described(fast) == described(slow)


@pytest.mark.parametrize("cls", [Aliases, Parts, Factories])
def test_what_a_memory_of_shapes_could_confuse(cls: type[Around]) -> None:
    fast, slow = both(cls().eval(), Inputs.of((IDS,)))
    assert described(fast) == described(slow)


@pytest.mark.parametrize("cls", [Aliases, Parts, Factories, Branches, Writes])
def test_real_values_are_recorded_as_make_fx_traces_them(cls: type[Around]) -> None:
    torch.manual_seed(0)
    fast, slow = both(cls().eval(), Inputs.of((IDS,)), real=True)
    assert described(fast) == described(slow)
    assert len(described(fast)) > 6


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_recorded_with_values_as_make_fx_traces_them(name: str) -> None:
    model = FAMILIES[name].model()
    fast, slow = both(model, default_inputs(model), real=True)
    assert described(fast) == described(slow)


def test_weights_are_as_before_where_values_were_real() -> None:
    model = Branches().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    _, _, notes = capture(model, Inputs.of((IDS,)), choose_outputs)
    assert len(notes) == 1
    assert "depends on values" in notes[0]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(hasattr(p, "_graphmerge") for p in model.parameters())


def test_a_recorded_graph_runs() -> None:
    model = Parts().eval()
    fast, _ = both(model, Inputs.of((IDS,)))
    state = [*model.parameters(), *model.buffers()]
    with torch.no_grad():
        (out,) = fast[0](*state, IDS)
        assert torch.equal(out, model(IDS))


def test_a_value_that_python_sees_is_left_to_make_fx() -> None:
    model = Reads().eval()
    with torch.no_grad(), pytest.raises(record.NotRecorded, match="depends on values"):
        _attempt(model, Inputs.of((IDS,)), choose_outputs, _recorded)
    graph, _, notes = capture(model, Inputs.of((IDS,)), choose_outputs)
    assert notes == []
    assert any(n.target is torch.ops.aten.mul.Tensor for n in graph.graph.nodes)


def test_modules_are_called_as_before() -> None:
    call = nn.Module.__call__
    model = Reads().eval()
    capture(model, Inputs.of((IDS,)), choose_outputs)
    assert nn.Module.__call__ is call
