"""nn.Module -> torch.fx graph of ATen ops, composite ops whole, no weights needed."""

from __future__ import annotations

import copy
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import get_proxy_mode, make_fx

from graphmerge.errors import TraceError
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.settings import traceable

LIBRARY_FOLDERS = (os.path.dirname(torch.__file__), os.path.dirname(__file__))
NEW_VALUE = "new value of "  # name of the output that a buffer written in the forward pass is
Outputs = Callable[[Any], dict[str, torch.Tensor]]


def capture(
    model: torch.nn.Module, inputs: Inputs, choose: Outputs
) -> tuple[torch.fx.GraphModule, dict[str, str], list[str]]:
    """Trace one forward pass in eval mode without grad.

    Returns the graph, the name of each placeholder (a state-dict key, or ``input:NAME``), and notes. Every node's meta
    has ``graphmerge`` = (module path, source line). The fast path runs on fake tensors and needs no weights; control
    flow that depends on data falls back to real values, which is said in the notes.

    Raises:
        TraceError: neither way could run the model.
    """
    model = _isolated(model)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), traceable(model), _quiet():
            try:
                return *_trace(model, inputs, choose, fake=True), []
            except Exception as error:
                if any(p.is_meta for p in model.parameters()):
                    raise TraceError(f"the model could not be traced: {_first_line(error)}") from error
                note = (
                    "the forward pass depends on values: it was followed once, for these weights and inputs "
                    f"({_first_line(error)})"
                )
            try:
                return *_trace(model, inputs, choose, fake=False), [note]
            except Exception as error:
                raise TraceError(f"the model could not be traced: {_first_line(error)}") from error
    finally:
        model.train(training)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def _isolated(model: torch.nn.Module) -> torch.nn.Module:
    """The same tensors in modules of their own: tables that a module caches on itself must not stay fake."""
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    try:
        return copy.deepcopy(model, dict(tensors))
    except Exception:  # modules that hold what cannot be copied
        return model


@contextmanager
def _quiet() -> Iterator[None]:
    """A fake tensor that fails is no news: the fallback is, and its reason is in the notes."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers under every one of their names, each once."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _trace(
    model: torch.nn.Module, inputs: Inputs, choose: Outputs, fake: bool
) -> tuple[torch.fx.GraphModule, dict[str, str]]:
    state = state_of(model)
    if fake:
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        with mode:
            state = {k: _stand_in(t) for k, t in state.items()}
            given = {k: _stand_in(t) for k, t in inputs.tensors.items()}
    else:
        given = inputs.tensors
    names: dict[str, str] = {}

    def run(state: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        before = dict(state)
        with _locations(model):
            now = inputs.with_tensors(given)
            out = torch.func.functional_call(model, state, now.args, now.kwargs)
        chosen = choose(out)
        # a buffer that the forward pass assigns anew is in ``state`` now: an output that nobody returns
        chosen |= {NEW_VALUE + key: state[key] for key in before if state[key] is not before[key]}
        names.update({f"output:{i}": name for i, name in enumerate(chosen)})
        return list(chosen.values())

    graph = make_fx(
        run,
        tracing_mode="fake" if fake else "real",
        pre_dispatch=True,
        _allow_non_fake_inputs=True,
        _error_on_data_dependent_ops=fake,
    )(state, given)
    if any(isinstance(getattr(graph, str(n.target)), FakeTensor) for n in graph.graph.nodes if n.op == "get_attr"):
        raise RuntimeError("a tensor left the trace, as x.data does")
    holders = [n for n in graph.graph.nodes if n.op == "placeholder"]
    keys = [*state, *(f"input:{k}" for k in given)]
    names.update({node.name: key for node, key in zip(holders, keys, strict=True)})
    return graph, names


def _stand_in(tensor: torch.Tensor) -> torch.Tensor:
    device = "cpu" if tensor.is_meta else tensor.device
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)


@contextmanager
def _locations(model: torch.nn.Module) -> Iterator[None]:
    """While it is active, each node of the graph being traced is marked with its module path and source line."""
    proxy_mode = get_proxy_mode()
    assert proxy_mode is not None
    tracer = proxy_mode.tracer
    create = tracer.create_node
    stack = [""]

    def create_node(*args: Any, **kwargs: Any) -> torch.fx.Node:
        node = create(*args, **kwargs)
        node.meta["graphmerge"] = (stack[-1], _user_line())
        return node

    def entered(path: str) -> Callable[..., None]:
        return lambda *_: stack.append(path)

    def left(*_: Any) -> None:
        stack.pop()

    handles = []
    for path, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(entered(path)))
        handles.append(module.register_forward_hook(left, always_call=True))
    tracer.create_node = create_node  # type: ignore[method-assign]
    try:
        yield
    finally:
        tracer.create_node = create  # type: ignore[method-assign]
        for handle in handles:
            handle.remove()


def _user_line() -> str:
    """``file.py:88`` of the innermost frame outside torch and this package."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(LIBRARY_FOLDERS) and not file.startswith("<"):
            return f"{os.path.basename(file)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
