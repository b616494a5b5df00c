"""The scalar computation graph: one node per scalar operation, equal ones shared, constants known by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from graphmerge.certify.errors import CertifyError

Number = bool | int | float | complex
LIMIT: Final = 300_000  # nodes; what is larger takes minutes, and gigabytes

# What an n-ary node of constants is worth.
REDUCERS: dict[str, Callable[[Sequence[Number]], Number]] = {
    "sum": lambda values: sum(values),
    "prod": lambda values: math.prod(values),
    "max": lambda values: max(values, key=_real),
    "min": lambda values: min(values, key=_real),
    "any": lambda values: any(values),
    "all": lambda values: all(values),
}


def _real(value: Number) -> float:
    return value.real


@dataclass(frozen=True)
class Choice:
    """What a label chooses among: for every unit the node of "this one is it", and the nodes that were sorted."""

    units: tuple[int, ...]
    line: tuple[int, ...]


class Nodes:
    """Nodes are numbered as they are made, children first.

    A node is an operation on children, a constant (``values`` has it), or a symbol: an entry of a parameter or of an
    input, which has no children and no value. ``ordered[n]`` says whether the places of n's children matter.
    ``choices`` has the nodes that are labels (see `labels`).
    With ``tell_slices`` slices of one tensor are told apart: an entry of a slice is an operation on the entry.
    """

    def __init__(self, tell_slices: bool, limit: int = LIMIT) -> None:
        self.tell_slices = tell_slices
        self.limit = limit
        self.ops: list[Hashable] = []
        self.children: list[tuple[int, ...]] = []
        self.ordered: list[bool] = []
        self.values: dict[int, Number] = {}
        self.choices: dict[int, Choice] = {}
        self._known: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self.ops)

    def _make(self, op: Hashable, children: tuple[int, ...], ordered: bool) -> int:
        key = (op, children, ordered)
        if key not in self._known:
            self.require(1)
            self._known[key] = len(self.ops)
            self.ops.append(op)
            self.children.append(children)
            self.ordered.append(ordered)
        return self._known[key]

    def require(self, more: int) -> None:
        """Refuse to grow beyond the limit, before the work is done."""
        if len(self.ops) + more > self.limit:
            raise CertifyError(
                f"the model has more than {self.limit:,} scalar operations; certify a smaller copy of it (hidden size "
                "4, two heads, two layers, a vocabulary of 4 and two positions are enough)"
            )

    def symbol(self, name: Hashable) -> int:
        """The node of an entry of a parameter or input; the same name gives the same node."""
        return self._make(("symbol", name), (), True)

    def constant(self, value: Number) -> int:
        """The node of a number; equal numbers are one node, whatever their type."""
        known = self._make(("constant", "nan" if value != value else value), (), True)
        self.values[known] = value
        return known

    def apply(self, op: Hashable, children: Sequence[int], ordered: bool = True) -> int:
        """An operation on nodes; ``ordered`` False where its arguments may change places."""
        return self._make(op, tuple(children) if ordered else tuple(sorted(children)), ordered)

    def reduce(self, op: str, children: Sequence[int]) -> int:
        """One node for a whole reduction (`REDUCERS`); of constants alone, its value."""
        if all(c in self.values for c in children):
            return self.constant(REDUCERS[op]([self.values[c] for c in children]))
        return self.apply(op, children, ordered=False)

    def times(self, left: int, right: int) -> int:
        """The product of two nodes; times 0 it is 0."""
        if left in self.values and right in self.values:
            return self.constant(self.values[left] * self.values[right])
        if 0 in (self.values.get(left), self.values.get(right)):
            return self.constant(0)
        return self.apply("mul", (left, right), ordered=False)

    def constants(self, tensor: torch.Tensor) -> torch.Tensor:
        """Ids of a tensor of constants, same shape."""
        ids = [self.constant(v) for v in tensor.detach().flatten().tolist()]
        return torch.tensor(ids, dtype=torch.int64).reshape(tensor.shape)
