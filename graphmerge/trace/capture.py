"""nn.Module -> torch.fx graph of ATen ops, composite ops whole, no weights needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch._C._functorch import is_functorch_wrapped_tensor
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.fx.experimental.proxy_tensor import disable_autocast_cache, get_proxy_mode, make_fx

from graphmerge.errors import TraceError
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.isolated import isolated
from graphmerge.trace.places import places
from graphmerge.trace.record import Recorder, Shapes, ValueRead
from graphmerge.trace.settings import traceable

NEW_VALUE = "new value of "  # name of the output that a buffer written in the forward pass is
Outputs = Callable[[Any], dict[str, torch.Tensor]]
Traced = tuple[torch.fx.GraphModule, dict[str, str]]
Way = Callable[[torch.nn.Module, Inputs, Outputs], Traced]
# no tensor without values will do after one of these
VALUES_DECIDE = (ValueRead, DataDependentOutputException, DynamicOutputShapeException)
logger = logging.getLogger(__name__)


def capture(
    model: torch.nn.Module, inputs: Inputs, choose: Outputs, values_decide: bool = False
) -> tuple[torch.fx.GraphModule, dict[str, str], list[str]]:
    """Trace one forward pass in eval mode without grad; with real values at once where it is known that they decide.

    Returns the graph, the name of each placeholder (a state-dict key, or ``input:NAME``), and notes. Every node's meta
    has ``graphmerge`` = (module path, source line). The fast path runs on fake tensors and needs no weights; control
    flow that depends on data falls back to real values, which is said in the notes.

    Raises:
        TraceError: neither way could run the model.
    """
    with torch.no_grad(), _quiet():
        why: Exception = ValueRead("as in another run of it")
        for way in () if values_decide else (_recorded, _traced_fake):  # the second will do, or say what is wrong
            try:
                return *_attempt(model, inputs, choose, way), []
            except Exception as error:
                logger.debug("%s: %s", way.__name__, _first_line(error))
                why = error
            if isinstance(why, VALUES_DECIDE):
                break
        if any(p.is_meta for p in model.parameters()):
            raise TraceError(f"the model could not be traced: {_first_line(why)}") from why
        note = (
            "the forward pass depends on values: it was followed once, for these weights and inputs "
            f"({_first_line(why)})"
        )
        for way in (_recorded_real, _traced_real):
            try:
                return *_attempt(model, inputs, choose, way), [note]
            except Exception as error:
                logger.debug("%s: %s", way.__name__, _first_line(error))
                why = error
        raise TraceError(f"the model could not be traced: {_first_line(why)}") from why


def _attempt(model: torch.nn.Module, inputs: Inputs, choose: Outputs, way: Way) -> Traced:
    """One way of tracing, on a copy of the modules that no other attempt has touched."""
    copied = isolated(model)
    training = copied.training
    copied.eval()
    try:
        with traceable(copied):
            return way(copied, inputs, choose)
    finally:
        copied.train(training)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


@contextmanager
def _quiet() -> Iterator[None]:
    """A fake tensor that fails is no news: the fallback is, and its reason is in the notes."""
    fake = logging.getLogger("torch._subclasses.fake_tensor")
    level = fake.level
    fake.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        fake.setLevel(level)


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers under every one of their names, each once."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _recorded(model: torch.nn.Module, inputs: Inputs, choose: Outputs) -> Traced:
    """The fast way. It raises where something is out of the ordinary."""
    shapes = Shapes()
    return _record(model, inputs, choose, shapes, shapes.stand_in)


def _recorded_real(model: torch.nn.Module, inputs: Inputs, choose: Outputs) -> Traced:
    """The fast way with real values, where they decide what is computed."""
    return _record(model, inputs, choose, None, torch.Tensor.detach)


def _record(
    model: torch.nn.Module,
    inputs: Inputs,
    choose: Outputs,
    shapes: Shapes | None,
    stand_in: Callable[[torch.Tensor], torch.Tensor],
) -> Traced:
    state = {k: stand_in(t) for k, t in state_of(model).items()}
    given = {k: stand_in(t) for k, t in inputs.tensors.items()}
    keys = [*state, *(f"input:{k}" for k in given)]
    with places(model) as place:
        recorder = Recorder(shapes, place)
        holders = [recorder.placeholder(f"state_{k + 1}", t) for k, t in enumerate(state.values())]
        holders += [recorder.placeholder(f"given_{k + 1}", t) for k, t in enumerate(given.values())]
        with shapes.fake if shapes else nullcontext(), enable_python_dispatcher(), recorder, disable_autocast_cache():
            chosen = _run(model, inputs, choose, state, given)
    graph = recorder.module(chosen.values())
    return graph, _names(chosen, holders, keys)


def _traced_fake(model: torch.nn.Module, inputs: Inputs, choose: Outputs) -> Traced:
    """The thorough way, by make_fx."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        state = {k: _stand_in(t) for k, t in state_of(model).items()}
        given = {k: _stand_in(t) for k, t in inputs.tensors.items()}
    return _traced(model, inputs, choose, state, given, "fake")


def _traced_real(model: torch.nn.Module, inputs: Inputs, choose: Outputs) -> Traced:
    """With real values, where they decide what is computed."""
    return _traced(model, inputs, choose, state_of(model), inputs.tensors, "real")


def _traced(
    model: torch.nn.Module,
    inputs: Inputs,
    choose: Outputs,
    state: dict[str, torch.Tensor],
    given: dict[str, torch.Tensor],
    mode: Literal["fake", "real"],
) -> Traced:
    keys = [*state, *(f"input:{k}" for k in given)]
    chosen: dict[str, torch.Tensor] = {}

    def run(state: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        with _marked(model):
            chosen.update(_run(model, inputs, choose, state, given))
        return list(chosen.values())

    graph = make_fx(
        run,
        tracing_mode=mode,
        pre_dispatch=True,
        _allow_non_fake_inputs=True,
        _error_on_data_dependent_ops=mode == "fake",
    )(state, given)
    held = [getattr(graph, str(n.target)) for n in graph.graph.nodes if n.op == "get_attr"]
    if any(isinstance(t, FakeTensor) or is_functorch_wrapped_tensor(t) for t in held if isinstance(t, torch.Tensor)):
        raise RuntimeError("a tensor left the trace, as x.data does, or what is computed inside of a transform")
    return graph, _names(chosen, [n for n in graph.graph.nodes if n.op == "placeholder"], keys)


def _run(
    model: torch.nn.Module,
    inputs: Inputs,
    choose: Outputs,
    state: dict[str, torch.Tensor],
    given: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """The outputs of one forward pass with these tensors in the place of the model's and the inputs' own."""
    before = dict(state)
    now = inputs.with_tensors(given)
    chosen = choose(torch.func.functional_call(model, state, now.args, now.kwargs))
    # a buffer that the forward pass assigns anew is in ``state`` now: an output that nobody returns
    return chosen | {NEW_VALUE + key: state[key] for key in before if state[key] is not before[key]}


def _names(chosen: Iterable[str], holders: list[torch.fx.Node], keys: list[str]) -> dict[str, str]:
    """Names of the outputs by number, and of the placeholders by node."""
    names = {f"output:{i}": name for i, name in enumerate(chosen)}
    return names | {node.name: key for node, key in zip(holders, keys, strict=True)}


def _stand_in(tensor: torch.Tensor) -> torch.Tensor:
    device = "cpu" if tensor.is_meta else tensor.device
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)


@contextmanager
def _marked(model: torch.nn.Module) -> Iterator[None]:
    """While it is active, each node of the graph being traced is marked with its module path and source line."""
    proxy_mode = get_proxy_mode()
    assert proxy_mode is not None
    tracer = proxy_mode.tracer
    create = tracer.create_node
    with places(model) as place:

        def create_node(*args: Any, **kwargs: Any) -> torch.fx.Node:
            node = create(*args, **kwargs)
            node.meta["graphmerge"] = place()
            return node

        tracer.create_node = create_node  # type: ignore[method-assign]
        try:
            yield
        finally:
            tracer.create_node = create  # type: ignore[method-assign]
