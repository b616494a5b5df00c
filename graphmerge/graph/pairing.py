"""Frequency pairs: which units of queries and keys the scores join, found by running unit vectors along a path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
import torch

from graphmerge.algebra import Equation, Term
from graphmerge.graph.paths import Path, letters

EXACT = 1e-9  # relative to the largest score


@dataclass(frozen=True)
class Column:
    """One unit of queries or keys in a parameter: its place on the axis in the first head, and the heads' factors."""

    tensor: str
    axis: int
    start: int
    heads: tuple[tuple[int, int], ...]  # (size, stride)

    def units(self) -> np.ndarray:
        """Its place in every head."""
        where = np.array([self.start])
        for size, stride in self.heads:
            where = (where[:, None] + np.arange(size) * stride).reshape(-1)
        return where


Pairs = list[tuple[int, int]]  # positions among the columns


def find_pairs(path: Path, eq: Equation, operands: Sequence[Term], columns: Sequence[Column]) -> Pairs | None:
    """Pairs of query columns followed by pairs of key columns, as the path joins them; None if it does otherwise."""
    try:
        return _sides_and_pairs(path, eq, operands, columns)
    except (RuntimeError, TypeError, ValueError, NotImplementedError):  # an op that does not run so: nothing is claimed
        return None


def _sides_and_pairs(path: Path, eq: Equation, operands: Sequence[Term], columns: Sequence[Column]) -> Pairs | None:
    responses: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    places: tuple[list[int], list[int]] = ([], [])
    for place, column in enumerate(columns):
        ends = path.run({column.tensor: _unit(column, path.program.tensors[column.tensor].shape)})
        reached = [side for side, end in enumerate(ends) if bool(end.any())]
        if len(reached) != 1:
            return None
        responses[reached[0]].append(ends[reached[0]])
        places[reached[0]].append(place)
    if not places[0] or len(places[0]) != len(places[1]):
        return None
    partners = _partners(torch.stack(responses[0]), torch.stack(responses[1]), eq, operands)
    if partners is None:
        return None
    return [(side[a], side[b]) for side in places for a, b in partners]


def _unit(column: Column, shape: tuple[int, ...]) -> torch.Tensor:
    """One in this column of every head, zero elsewhere; not stored for every unit of the other axes."""
    line = torch.zeros(shape[column.axis], dtype=torch.float64).index_fill_(0, torch.from_numpy(column.units()), 1.0)
    return line.reshape([-1 if axis == column.axis else 1 for axis in range(len(shape))]).expand(shape)


def _partners(queries: torch.Tensor, keys: torch.Tensor, eq: Equation, operands: Sequence[Term]) -> Pairs | None:
    """Which units the scores of all positions join, if they join them in pairs and as complex numbers do."""
    units = len(queries)
    largest = torch.zeros(units, units, dtype=torch.float64)
    for scores in _scores(queries, keys, eq, operands):
        largest = torch.maximum(largest, scores.abs().amax(-1))
    limit = EXACT * float(largest.max())
    joined = [row.nonzero().flatten().tolist() for row in largest > limit]
    partner = [next((b for b in row if b != a), a) for a, row in enumerate(joined)]
    if any(sorted({a, b}) != joined[a] or a == b or partner[b] != a for a, b in enumerate(partner)):
        return None
    pairs = [(a, b) for a, b in enumerate(partner) if a < b]
    first, second = (torch.tensor(side) for side in zip(*pairs))
    for scores in _scores(queries, keys, eq, operands):
        even = scores[first, first] - scores[second, second]
        odd = scores[first, second] + scores[second, first]
        if float(torch.maximum(even.abs(), odd.abs()).max()) > limit:
            return None
    return pairs


def _scores(
    queries: torch.Tensor, keys: torch.Tensor, eq: Equation, operands: Sequence[Term]
) -> Iterator[torch.Tensor]:
    """(query units, key units, everything else) for one query position after another."""
    own = [letters(t) for t in operands]
    spelled = dict(zip(dict.fromkeys(own[0] + own[1]), ascii_lowercase, strict=False))
    shared = [x for x in own[0] if x in own[1]]
    rest_of = [x for x in spelled if x not in shared or x in _carried(eq, operands)]
    rest = "".join(spelled[x] for x in rest_of)
    left, right = ("".join(spelled[x] for x in side) for side in own)
    q = queries.reshape(len(queries), *(eq.sizes[x] for x in own[0]))
    k = keys.reshape(len(keys), *(eq.sizes[x] for x in own[1]))
    for x in shared:  # heads that turn alike need no more than one
        a, b = own[0].index(x) + 1, own[1].index(x) + 1
        if x in rest_of and bool((q == q.narrow(a, 0, 1)).all()) and bool((k == k.narrow(b, 0, 1)).all()):
            q, k = q.narrow(a, 0, 1), k.narrow(b, 0, 1)
    alone = next((x for x in own[0] if x not in shared and eq.sizes[x] > 1), None)
    for position in range(eq.sizes[alone] if alone else 1):
        some = q.narrow(own[0].index(alone) + 1, position, 1) if alone else q
        yield torch.einsum(f"Q{left},K{right}->QK{rest}", some, k).flatten(2)


def _carried(eq: Equation, operands: Sequence[Term]) -> set[str]:
    """Letters of the result: all that the operands share but what is contracted."""
    if eq.origin.kind == "attention":
        return {x for t in operands for x in letters(t)} - {"d"}
    return set(letters(next(t for t in eq.terms if t is not operands[0] and t is not operands[1])))
