"""Linear paths run on numbers: from entries of parameters to the two operands of a product, weights and tables given.

Between a projection and the scores of attention a rotary table turns queries and keys; every op on the way is linear
with constant coefficients. Running it on unit vectors shows which linear map it is, however it is spelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from graphmerge.algebra import Equation, Term
from graphmerge.algebra.equation import letter_of
from graphmerge.graph.system import original
from graphmerge.trace.program import Node, Program, Ref


@dataclass(frozen=True)
class Path:
    """The ops between some parameters and two tensors.

    ``sources`` are the products of an activation and a weight, by node, with the weight's term: what they write depends
    on the weight's output letters only, the activation being all ones in one unit.
    """

    program: Program
    nodes: tuple[Node, ...]
    sources: Mapping[str, tuple[Equation, int]]
    ends: tuple[str, ...]

    @classmethod
    def of(
        cls, program: Program, names: Iterable[str], sources: Mapping[str, tuple[Equation, int]], ends: Sequence[str]
    ) -> Path:
        wanted = {*names, *sources}
        return cls(program, tuple(n for n in program.nodes if n.name in wanted), sources, tuple(ends))

    def run(self, parameters: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """The ends, in double precision; parameters and activations that are not given are zero."""
        values: dict[str, torch.Tensor] = dict(parameters)
        for node in self.nodes:
            if node.name in self.sources:
                results: Any = self._source(node, values)
            else:
                results = _op(node.op)(*self._filled(node.args, values), **self._filled(node.kwargs, values))
            for ref, result in zip(node.outputs, results if isinstance(results, (list, tuple)) else [results]):
                values[ref.name] = _double(result)
        return [values[end] for end in self.ends]

    def signature(self) -> tuple[Any, ...]:
        """Equal for paths that compute the same, whatever their tensors are called; constants count by value."""
        known: dict[str, int] = {}

        def plain(value: Any) -> Any:
            if isinstance(value, Ref):
                held = self.program.tensors[value.name].value
                table = known.setdefault(value.name, len(known)) if held is None else held.tobytes()
                return (table, value.shape)
            if isinstance(value, dict):
                return tuple((k, plain(v)) for k, v in value.items())
            return tuple(plain(v) for v in value) if isinstance(value, (list, tuple)) else str(value)

        steps = tuple((n.op, plain(n.args), plain(n.kwargs), plain(n.outputs)) for n in self.nodes)
        return (steps, tuple(known.get(end, -1) for end in self.ends))

    def _source(self, node: Node, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        eq, place = self.sources[node.name]
        weight = eq.terms[place]
        out = next(t for t in eq.terms if t.tensor is not None and original(t.tensor) == node.outputs[0].name)
        shape = [eq.sizes[x] for x in letters(weight)]
        value = self._value(original(str(weight.tensor)), values).reshape(shape)
        kept = [x for x in letters(weight) if x in letters(out)]
        value = value[tuple(slice(None) if x in kept else 0 for x in letters(weight))]
        value = value.permute([kept.index(x) for x in letters(out) if x in kept])
        value = value.reshape([eq.sizes[x] if x in kept else 1 for x in letters(out)])
        return value.expand([eq.sizes[x] for x in letters(out)]).reshape(node.outputs[0].shape).contiguous()

    def _value(self, name: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        if name in values:
            return values[name]
        info = self.program.tensors[name]
        if info.kind == "constant":
            return _double(torch.from_numpy(info.value))
        return torch.zeros((), dtype=torch.float64).expand(info.shape)

    def _filled(self, value: Any, values: Mapping[str, torch.Tensor]) -> Any:
        if isinstance(value, Ref):
            return self._value(value.name, values)
        if isinstance(value, dict):
            return {k: self._filled(v, values) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._filled(v, values) for v in value]
        if isinstance(value, torch.dtype) and value.is_floating_point:
            return torch.float64
        return torch.device("cpu") if isinstance(value, torch.device) else value


def letters(term: Term) -> list[str]:
    """The letters of a term, over all axes in order."""
    return [letter_of(item) for axis in term.axes for item in axis]


def _double(value: torch.Tensor) -> torch.Tensor:
    if value.is_complex():
        return value.to(torch.complex128)
    return value.to(torch.float64) if value.is_floating_point() else value


def _op(name: str) -> Any:
    op: Any = torch.ops
    for part in name.split("."):
        op = getattr(op, part)
    return op
