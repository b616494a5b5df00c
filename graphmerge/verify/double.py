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
        return _pytree.tree_map(promote, super().run_node(n))

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return target(*_pytree.tree_map(promote, args), **_pytree.tree_map(promote, kwargs))


def run_double(
    program: Program, weights: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Outputs by name.

    Args:
        program: one traced forward pass.
        weights: every parameter and buffer under its traced name.
        inputs: the tensors of the example inputs, of the traced shapes.
    """
    arguments = [
        inputs[key.removeprefix("input:")] if key.startswith("input:") else weights[key]
        for node in program.module.graph.nodes
        if node.op == "placeholder"
        for key in [program.placeholders[node.name]]
    ]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)  # ops that draw at random draw alike in every run
        results = _Double(program.module).run(*(a.clone() for a in arguments), enable_io_processing=False)
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
