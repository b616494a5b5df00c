"""An example run for real: its `Node`, its values, and the symmetry that its equations claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from graphmerge.algebra import System, Tensor, equation
from graphmerge.rules import Derived, derive
from graphmerge.rules.labels import ROWS, new_rows
from graphmerge.trace.program import Node, Ref
from tests.rules.examples import Example, T

Values = dict[str, torch.Tensor]


@dataclass
class Run:
    """``values`` of the tensor arguments by name, in order; ``node`` with the shapes of real outputs.

    Beside a tensor of labels stand its rows: what the labels are, is read from them.
    """

    example: Example
    values: Values
    constants: dict[str, Any]
    labels: dict[str, int]
    node: Node

    def outputs(self, values: Mapping[str, torch.Tensor]) -> Values:
        """Run the op."""
        given = {n: values[n + ROWS].argmax(-1) if n in self.labels else v for n, v in values.items()}
        found = _call(self.example, {n: v for n, v in given.items() if not n.endswith(ROWS)})
        for name, rows in new_rows(self.derived().equations):
            if name in found:
                found[rows.name] = one_hot(found[name], rows.shape[-1])
        return found

    def derived(self) -> Derived:
        return derive(self.node, self.constants, self.labels)

    def system(self, derived: Derived | None = None) -> System:
        """Arguments and results as parameters, so that all of them are listed; and what the rule says, or another."""
        system = System()
        for name, value in self.values.items():
            held = self.constants.get(name)
            system.add(Tensor(name, tuple(value.shape), "parameter" if held is None else "constant", held))
        found = derived or self.derived()
        for out in (*self.node.outputs, *(rows for _, rows in new_rows(found.equations))):
            if out.name not in system.tensors:
                system.add(Tensor(out.name, out.shape, "parameter"))
        system.equations += found.equations
        for name, units in self.labels.items():  # whoever made the labels has tied them to their rows
            shape = tuple(self.values[name].shape)
            axes = " ".join(f"x{d}" for d in range(len(shape)))
            system.equations.append(
                equation(f"{axes}, {axes} u", [name, name + ROWS], [shape, (*shape, units)], {"u": units})
            )
        return system


def run(example: Example, seed: int = 0) -> Run:
    g = torch.Generator().manual_seed(seed)
    values: Values = {}
    constants: dict[str, Any] = {}
    units: dict[str, int] = {}

    def drawn(arg: Any) -> Any:
        if isinstance(arg, list):
            return tuple(drawn(a) for a in arg)
        if not isinstance(arg, T):
            return arg
        name = f"in{sum(not n.endswith(ROWS) for n in values)}"
        values[name] = arg.draw(arg.shape, g)
        if arg.constant:
            constants[name] = values[name].numpy()
        if arg.labels:
            units[name], values[name + ROWS] = arg.labels, one_hot(values[name], arg.labels)
        return Ref(name, arg.shape, values[name].dtype, arg.alike, values[name].stride())

    args = tuple(drawn(a) for a in example.args)
    kwargs = {k: drawn(a) for k, a in example.kwargs.items()}
    plain = {n: v for n, v in values.items() if not n.endswith(ROWS)}
    outputs = tuple(Ref(name, tuple(t.shape)) for name, t in _call(example, plain).items())
    return Run(example, values, constants, units, Node("out", example.op, args, kwargs, outputs))


def one_hot(labels: torch.Tensor, units: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels.long(), units).double()


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
