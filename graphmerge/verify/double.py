"""Run a traced graph in float64, every cast and constant promoted.

A correct permutation of a model in ``.double()`` is still off by 1e-7 where an op casts to float32 on the way (RMSNorm
does); promoted throughout, what remains is rounding at 1e-15.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils import _pytree

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
        result = _pytree.tree_map(promote, super().run_node(n))
        return result.clone() if _casts(n) else result

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return target(*_pytree.tree_map(promote, args), **_pytree.tree_map(promote, kwargs))


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
    keys = [program.placeholders[n.name] for n in program.module.graph.nodes if n.op == "placeholder"]
    arguments = [inputs[k.removeprefix("input:")] if k.startswith("input:") else weights[k] for k in keys]
    if any(_writes(node) for node in program.module.graph.nodes):  # into an argument, perhaps
        arguments = [a.clone() for a in arguments]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)  # ops that draw at random draw alike in every run
        results = _Double(program.module).run(*arguments, enable_io_processing=False)
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
