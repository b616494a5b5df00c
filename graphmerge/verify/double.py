"""Run a traced graph in float64, every cast and constant promoted.

A correct permutation of a model in ``.double()`` is still off by 1e-7 where an op casts to float32 on the way (RMSNorm
does); promoted throughout, what remains is rounding at 1e-15.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.fx.node import map_aggregate
from torch.utils import _pytree

from graphmerge.errors import TraceError
from graphmerge.trace.program import Program


def promote(value: Any) -> Any:
    """Floating tensors and dtypes in double precision; anything else as it is."""
    if isinstance(value, torch.dtype):
        return torch.complex128 if value.is_complex else torch.float64 if value.is_floating_point else value
    if isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex()):
        return value.to(promote(value.dtype))
    return value


class _Double(torch.fx.Interpreter):
    def run_node(self, n: torch.fx.Node) -> Any:
        if n.op != "call_function":
            return _pytree.tree_map(promote, super().run_node(n))
        args: Any = map_aggregate(n.args, self._given)  # what the interpreter itself does for a node takes far longer
        kwargs: Any = map_aggregate(n.kwargs, self._given)
        target: Any = n.target
        result = target(*args, **kwargs)
        result = promote(result) if isinstance(result, torch.Tensor) else _pytree.tree_map(promote, result)
        return result.clone() if _casts(n) else result

    def _given(self, value: Any) -> Any:
        """An argument: what a node came to, or a constant."""
        return self.env[value] if isinstance(value, torch.fx.Node) else promote(value)


def _casts(node: torch.fx.Node) -> bool:
    """A cast makes a copy; promoted it would not, and a write into its result would reach its argument."""
    source = node.args[0] if node.op == "call_function" and node.args else None
    before = source.meta.get("val") if isinstance(source, torch.fx.Node) else None
    after = node.meta.get("val")
    if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor):
        return False
    return before.is_floating_point() and after.is_floating_point() and before.dtype != after.dtype


def _writes(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def run_double(
    program: Program, weights: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Outputs by name.

    Args:
        program: one traced forward pass.
        weights: every parameter and buffer under its traced name.
        inputs: the tensors of the example inputs, of the traced shapes.
    """
    arguments = _arguments(program, weights, inputs)
    if any(_writes(node) for node in program.module.graph.nodes):  # into an argument, perhaps
        arguments = [a.clone() for a in arguments]
    return _run(_Double(program.module), program, arguments)


class Recorded:
    """One run whose intermediate values are kept: a run with other weights computes only what these reach.

    Where an op writes into its arguments or draws at random, every run is a whole one.

    Attributes:
        outputs: of the first run, by name.
    """

    def __init__(
        self, program: Program, weights: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]
    ) -> None:
        self.program, self.weights, self.inputs = program, weights, inputs
        self.values: dict[torch.fx.Node, Any] = {}
        if any(_writes(node) or _draws(node) for node in program.module.graph.nodes):
            self.outputs = run_double(program, weights, inputs)
            return
        first = _Double(program.module, garbage_collect_values=False)
        self.outputs = _run(first, program, _arguments(program, weights, inputs))
        self.values = {n: v for n, v in first.env.items() if n.op not in ("placeholder", "output")}

    def outputs_with(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Outputs by name, with these weights in the place of those of the same names."""
        changed = {name for name, tensor in weights.items() if tensor is not self.weights[name]}
        weights = {**self.weights, **weights}
        if not self.values:
            return run_double(self.program, weights, self.inputs)
        stale = {n for n, name in self._placeholders() if name in changed}
        for node in self.program.module.graph.nodes:  # in the order of the run
            if any(source in stale for source in node.all_input_nodes):
                stale.add(node)
        kept = {node: value for node, value in self.values.items() if node not in stale}
        arguments = _arguments(self.program, weights, self.inputs)
        return _run(_Double(self.program.module), self.program, arguments, kept)

    def _placeholders(self) -> list[tuple[torch.fx.Node, str]]:
        nodes = self.program.module.graph.nodes
        return [(n, self.program.placeholders[n.name]) for n in nodes if n.op == "placeholder"]


def _draws(node: torch.fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _arguments(
    program: Program, weights: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]
) -> list[torch.Tensor]:
    keys = [program.placeholders[n.name] for n in program.module.graph.nodes if n.op == "placeholder"]
    return [inputs[k.removeprefix("input:")] if k.startswith("input:") else weights[k] for k in keys]


def _run(
    interpreter: _Double,
    program: Program,
    arguments: list[torch.Tensor],
    known: dict[torch.fx.Node, Any] | None = None,
) -> dict[str, torch.Tensor]:
    """Outputs by name.

    Raises:
        TraceError: control flow depends on data, and these weights do not fit the way that was traced.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)  # ops that draw at random draw alike in every run
        try:
            results = interpreter.run(*arguments, initial_env=known, enable_io_processing=False)
        except (RuntimeError, IndexError) as error:
            if not program.decided:
                raise
            raise TraceError(
                "control flow depends on data, and other weights do not fit the way through the model that was traced "
                f"({str(error).strip().partition(chr(10))[0]}); it cannot be verified"
            ) from error
    return dict(zip(program.outputs, results))


def change(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> float:
    """Largest change of any output relative to that output's largest entry; infinite where NaNs appear."""
    worst = 0.0
    for name, old in before.items():
        new = after[name]
        if not (old.is_floating_point() or old.is_complex()):
            worst = max(worst, 0.0 if torch.equal(old, new) else 1.0)
            continue
        same = (old == new) | (old.isnan() & new.isnan())
        gap = torch.where(same, torch.zeros_like(old.abs()), (new - old).abs())
        scale = old.abs()[old.isfinite()].max() if bool(old.isfinite().any()) else torch.tensor(1.0)
        error = float(gap.max() / scale.clamp_min(torch.finfo(torch.float64).tiny)) if gap.numel() else 0.0
        worst = max(worst, error if error == error else float("inf"))
    return worst
