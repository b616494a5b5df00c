"""The scalar computation graph: one node per scalar operation, equal ones shared, constants known by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.interned import Array, Column, numbered

Number = bool | int | float | complex
LIMIT: Final = 6_000_000  # nodes; so many take half a minute and 5 GB

MANY: Final = 100  # constants, which are then looked up once each

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


def _once_each(rows: torch.Tensor, made: Callable[[list[int]], int]) -> torch.Tensor:
    """A node for each row, (n, arity) -> (n,); equal rows are looked at once."""
    if not rows.numel():
        return torch.tensor([made([]) for _ in rows], dtype=torch.int64)
    once, places = rows.unique(dim=0, return_inverse=True)
    return torch.tensor([made(row) for row in once.tolist()], dtype=torch.int64)[places]


@dataclass(frozen=True)
class Choice:
    """What a label chooses among: for every unit the node of "this one is it", and the nodes that were sorted."""

    units: tuple[int, ...]
    line: tuple[int, ...]


@dataclass
class Family:
    """The nodes of one operation with one number of arguments; ``ordered`` says whether the places of these matter."""

    op: Hashable
    ordered: bool
    arity: int
    known: dict[bytes, int] = field(default_factory=dict, repr=False)
    ids: list[Array] = field(default_factory=list, repr=False)
    rows: list[Array] = field(default_factory=list, repr=False)  # (n, arity) arguments


@dataclass(frozen=True)
class Layer:
    """Nodes of one family that do not depend on each other, (n,), and their arguments, (n, arity)."""

    family: Family
    ids: Array
    rows: Array


class Nodes:
    """Nodes are numbered as they are made, children first.

    A node is an operation on children, a constant (``values`` has it), or a symbol (``symbols``): an entry of a
    parameter or of an input, which has no children and no value. ``choices`` has the nodes that are labels (see
    `labels`), ``given`` what nodes are worth that depend on inputs alone, as these were given. With ``tell_slices``
    slices of one tensor are told apart: an entry of a slice is an operation on the entry. Whole tensors of nodes are
    made at once: ids are int64 tensors.
    """

    def __init__(self, tell_slices: bool, limit: int = LIMIT) -> None:
        self.tell_slices = tell_slices
        self.limit = limit
        self.values: dict[int, Number] = {}
        self.choices: dict[int, Choice] = {}
        self.symbols: dict[int, Hashable] = {}
        self.given: dict[int, Number] = {}
        self._numbers: dict[Hashable, int] = {}
        self._names: dict[Hashable, int] = {}
        self._families: dict[tuple[Hashable, int, bool], Family] = {}
        self._constant = Column(np.bool_)
        self._decided = Column(np.bool_)
        self._level = Column(np.int32)  # 0 for symbols and constants, else one more than the highest child

    def __len__(self) -> int:
        return len(self._constant)

    def require(self, more: int) -> None:
        """Refuse to grow beyond the limit, before the work is done."""
        if len(self) + more > self.limit:
            raise CertifyError(
                f"the model has more than {self.limit:,} scalar operations; certify a smaller copy of it (hidden size "
                "4, two heads, two layers, a vocabulary of 4 and two positions are enough)"
            )

    def _leaf(self, constant: bool) -> int:
        self.require(1)
        self._constant.add([constant])
        self._decided.add([constant])
        self._level.add([0])
        return len(self) - 1

    def symbol(self, name: Hashable) -> int:
        """The node of an entry of a parameter or input; the same name gives the same node."""
        if name not in self._names:
            self._names[name] = self._leaf(constant=False)
            self.symbols[self._names[name]] = name
        return self._names[name]

    def constant(self, value: Number) -> int:
        """The node of a number; equal numbers are one node, whatever their type."""
        key = "nan" if value != value else value
        if key not in self._numbers:
            self._numbers[key] = self._leaf(constant=True)
            self.values[self._numbers[key]] = value
        return self._numbers[key]

    def constants(self, tensor: torch.Tensor) -> torch.Tensor:
        """Ids of a tensor of constants, same shape."""
        values, places = tensor.detach().flatten(), None
        if len(values) > MANY and not tensor.is_complex():
            values, places = values.unique(return_inverse=True)
        ids = torch.tensor([self.constant(v) for v in values.tolist()], dtype=torch.int64)
        return (ids if places is None else ids[places]).reshape(tensor.shape)

    def is_constant(self, ids: torch.Tensor) -> torch.Tensor:
        """Which of these nodes are constants, same shape."""
        return torch.from_numpy(np.asarray(self._constant.all[ids.numpy()]))

    def is_decided(self, ids: torch.Tensor) -> torch.Tensor:
        """Which of these nodes are constants, or known from the inputs alone, same shape."""
        return torch.from_numpy(np.asarray(self._decided.all[ids.numpy()]))

    def decide(self, ids: torch.Tensor, values: Sequence[Number]) -> None:
        """What these nodes are worth for the inputs as they were given, (n,)."""
        self._decided.all[ids.numpy()] = True
        self.given.update(zip(ids.tolist(), values))

    def value(self, node: int) -> Number:
        """Of a node that is decided."""
        return self.values[node] if node in self.values else self.given[node]

    def look(self, op: Hashable, ids: torch.Tensor, *places: torch.Tensor) -> torch.Tensor:
        """Nodes seen through an op that leaves them what they are, (n,) -> (n,); ``places`` are its other arguments."""
        seen = self.apply_each(op, torch.stack([ids, *places], 1))
        decided = self.is_decided(ids)
        self.decide(seen[decided], [self.value(n) for n in ids[decided].tolist()])
        return seen

    def is_label(self, ids: torch.Tensor) -> torch.Tensor:
        """Which of these nodes are labels, same shape."""
        return torch.isin(ids, torch.tensor(list(self.choices), dtype=torch.int64))

    def apply_each(self, op: Hashable, rows: torch.Tensor, ordered: bool = True) -> torch.Tensor:
        """An operation on each row of nodes, (n, arity) -> (n,); ``ordered`` False where arguments may trade places."""
        arguments = rows.numpy() if ordered else np.sort(rows.numpy(), 1)
        family = self._family(op, rows.shape[1], ordered)
        ids, fresh = numbered(family.known, arguments, len(self))
        if len(fresh):
            self._add(family, fresh)
        return torch.from_numpy(ids)

    def apply(self, op: Hashable, children: Sequence[int], ordered: bool = True) -> int:
        """The same for a single row."""
        row = np.array([children if ordered else sorted(children)], np.int32).reshape(1, -1)
        family = self._family(op, len(children), ordered)
        known = family.known.get(row.tobytes())
        if known is None:
            known = family.known[row.tobytes()] = len(self)
            self._add(family, row)
        return known

    def _family(self, op: Hashable, arity: int, ordered: bool) -> Family:
        key = (op, arity, ordered)
        if key not in self._families:
            self._families[key] = Family(op, ordered, arity)
        return self._families[key]

    def _add(self, family: Family, rows: Array) -> None:
        self.require(len(rows))
        family.ids.append(np.arange(len(self), len(self) + len(rows)))
        family.rows.append(rows)
        self._level.add(1 + self._level.all[rows].max(1, initial=0))
        self._constant.add(np.zeros(len(rows), np.bool_))
        self._decided.add(np.zeros(len(rows), np.bool_))

    def reduce_each(self, op: str, rows: torch.Tensor, decides: bool = False) -> torch.Tensor:
        """One node for a whole reduction (`REDUCERS`) of each row, (n, arity) -> (n,); of constants, their value.

        So is one that ``decides`` what is computed, a truth value or a whole number, where inputs alone decide it.
        """
        given = self.is_decided(rows).all(1)
        known = given if decides else self.is_constant(rows).all(1)
        ids = torch.empty(len(rows), dtype=torch.int64)
        ids[~known] = self.apply_each(op, rows[~known], ordered=False)
        ids[known] = _once_each(rows[known], lambda row: self.constant(self._reduced(op, row)))
        if (decided := given & ~known).any():
            self.decide(ids[decided], [self._reduced(op, row) for row in rows[decided].tolist()])
        return ids

    def _reduced(self, op: str, row: Sequence[int]) -> Number:
        return REDUCERS[op]([self.value(c) for c in row])

    def reduce(self, op: str, children: Sequence[int]) -> int:
        """The same for a single row."""
        if all(c in self.values for c in children):
            return self.constant(self._reduced(op, children))
        return self.apply(op, children, ordered=False)

    def times_each(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Products of nodes, (n,), (n,) -> (n,); times 0 it is 0."""
        zero = self.constant(0)
        known = self.is_constant(left) & self.is_constant(right)
        some = ~known & (left != zero) & (right != zero)
        pairs = torch.stack([left, right], 1)
        ids = torch.full((len(pairs),), zero)
        ids[some] = self.apply_each("mul", pairs[some], ordered=False)
        ids[known] = _once_each(pairs[known], lambda pair: self.times(*pair))
        return ids

    def times(self, left: int, right: int) -> int:
        """The same for a single product."""
        if left in self.values and right in self.values:
            return self.constant(self.values[left] * self.values[right])
        if 0 in (self.values.get(left), self.values.get(right)):
            return self.constant(0)
        return self.apply("mul", (left, right), ordered=False)

    def layers(self) -> list[Layer]:
        """All operations, children first."""
        found: list[tuple[int, Layer]] = []
        for family in self._families.values():
            if not family.ids:
                continue
            ids, rows = np.concatenate(family.ids), np.concatenate(family.rows)
            order = np.argsort(self._level.all[ids], kind="stable")
            levels = self._level.all[ids[order]]
            for part in np.split(order, np.flatnonzero(np.diff(levels)) + 1):
                found.append((int(self._level.all[ids[part[0]]]), Layer(family, ids[part], rows[part])))
        return [layer for _, layer in sorted(found, key=lambda pair: pair[0])]
