"""An example run for real: its `Node`, its values, and the symmetry that its equations claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from graphmerge.algebra import System, Tensor
from graphmerge.rules import Derived, derive
from graphmerge.trace.program import Node, Ref
from tests.rules.examples import Example, T

Values = dict[str, torch.Tensor]


@dataclass
class Run:
    """``values`` of the tensor arguments by name, in order; ``node`` with the shapes of real outputs."""

    example: Example
    values: Values
    constants: dict[str, Any]
    node: Node

    def outputs(self, values: Mapping[str, torch.Tensor]) -> Values:
        """Run the op."""
        return _call(self.example, values)

    def derived(self) -> Derived:
        return derive(self.node, self.constants)

    def system(self, derived: Derived | None = None) -> System:
        """Arguments and results as parameters, so that all of them are listed; and what the rule says, or another."""
        system = System()
        for name, value in self.values.items():
            held = self.constants.get(name)
            system.add(Tensor(name, tuple(value.shape), "parameter" if held is None else "constant", held))
        for out in self.node.outputs:
            system.add(Tensor(out.name, out.shape, "parameter"))
        system.equations += (derived or self.derived()).equations
        return system


def run(example: Example, seed: int = 0) -> Run:
    g = torch.Generator().manual_seed(seed)
    values: Values = {}
    constants: dict[str, Any] = {}

    def drawn(arg: Any) -> Any:
        if isinstance(arg, list):
            return tuple(drawn(a) for a in arg)
        if not isinstance(arg, T):
            return arg
        name = f"in{len(values)}"
        values[name] = arg.draw(arg.shape, g)
        if arg.constant:
            constants[name] = values[name].numpy()
        return Ref(name, arg.shape, values[name].dtype, arg.alike)

    args = tuple(drawn(a) for a in example.args)
    kwargs = {k: drawn(a) for k, a in example.kwargs.items()}
    outputs = tuple(Ref(name, tuple(t.shape)) for name, t in _call(example, values).items())
    return Run(example, values, constants, Node("out", example.op, args, kwargs, outputs))


def _call(example: Example, values: Mapping[str, torch.Tensor]) -> Values:
    held = iter(values.values())

    def given(arg: Any) -> Any:
        if isinstance(arg, list):
            return [given(a) for a in arg]
        return next(held).contiguous().clone() if isinstance(arg, T) else arg

    namespace, name, overload = example.op.split(".")
    op = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    with torch.no_grad():
        result = op(*map(given, example.args), **{k: given(a) for k, a in example.kwargs.items()})
    results = [r for r in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(r, torch.Tensor)]
    return {f"out.{k}": r.resolve_conj().resolve_neg().clone() for k, r in enumerate(results)}
