"""`Group.kind`: the largest class of maps along a group's axes that every op commutes with.

Each occurrence of a leaf carries the map itself or its inverse transpose (primal or dual). Ops without entry-wise
nonlinearities leave every invertible map; a leaf met as both primal and dual is orthogonal at most. Where an op acts
entry by entry only monomial maps remain: then the scales of all occurrences are unknowns of a linear system, over the
reals for positive scales and over two elements for signs, and the kind is what solutions it has. Gains of a norm keep
their scale: trading it with the next matrix is no map of the axis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from graphmerge.algebra import Equation, Solution
from graphmerge.algebra.choices import LetterKey
from graphmerge.algebra.leaves import Instance
from graphmerge.graph.roles import Flow

Row = dict[int, int]  # occurrence -> coefficient; the combination must be 0


@dataclass
class _Facts:
    """What all ops together say about one leaf."""

    monomial: bool = False
    ones: bool = False
    orthogonal: bool = False
    both: list[Row] = field(default_factory=list)  # for scales and signs
    scales: list[Row] = field(default_factory=list)
    signs: list[Row] = field(default_factory=list)

    def same(self, a: int, b: int) -> None:
        self.both.append({a: 1, b: -1} if a != b else {})

    def dual(self, a: int, b: int) -> None:
        self.both.append({a: 1, b: 1} if a != b else {a: 2})

    def fix(self, occurrence: int) -> None:
        self.both.append({occurrence: 1})


def find_kinds(solution: Solution, flow: Flow) -> dict[int, str]:
    """Kind of every free leaf."""
    free = {n for n, leaf in solution.leaves.items() if leaf.pinned is None and leaf.size > 1}
    facts: dict[int, _Facts] = defaultdict(_Facts)
    working = solution.working
    for instance in working.instances:
        eq = working.system.equations[instance.equation]
        for key, places in _places(solution, instance).items():
            leaf = solution.leaf_at(next(iter(places.values())))
            if leaf in free:
                _state(facts[leaf], eq, key, places, flow, instance.equation)
    return {leaf: _kind(facts[leaf]) for leaf in free}


def _places(solution: Solution, instance: Instance) -> dict[LetterKey, dict[int, int]]:
    """For each letter, its occurrence in every real term that has it."""
    eq = solution.working.system.equations[instance.equation]
    found: dict[LetterKey, dict[int, int]] = defaultdict(dict)
    for term, (number, letters) in enumerate(zip(instance.boxes, instance.letters)):
        first = solution.working.boxes[number].first
        for dim, key in enumerate(letters):
            if key is not None and eq.terms[term].tensor is not None:
                found[key][term] = first + dim
    return found


def _state(facts: _Facts, eq: Equation, key: LetterKey, places: Mapping[int, int], flow: Flow, number: int) -> None:
    """What one op says about one letter."""
    written = {t for t in places if eq.terms[t].tensor in flow.outputs[number]}
    out = [places[t] for t in sorted(written)]
    constant = {t for t in places if flow.kinds[str(eq.terms[t].tensor)] == "constant"}
    read = {t: o for t, o in places.items() if t not in written and t not in constant}
    law = eq.law
    if law == "attention":
        law = {"d": "product", "e": "linear"}.get(key[0], "pointwise")
    if law == "quotient":
        law = "pointwise" if 1 in read else "gate"
    if (law == "total" and not out) or (law == "linear" and (not out or not read)):
        facts.ones = True  # added up, or spread out: the map must keep the vector of ones
        for occurrence in places.values():
            facts.fix(occurrence)
    elif law in ("linear", "total"):
        for occurrence in read.values():
            facts.same(occurrence, out[0])
    elif law == "sum":
        zero = {n for n, t in enumerate(eq.terms) if t.tensor in flow.zeros}
        _sum(facts, eq, read, out, constant - zero, len(zero))
    elif law in ("gate", "product"):
        _product(facts, eq, read, out, flow)
    else:
        _entrywise(facts, law, eq, read, out, flow)


def _sum(facts: _Facts, eq: Equation, read: Mapping[int, int], out: list[int], constant: set[int], zeros: int) -> None:
    whole = len(read) + zeros == len(eq.terms) - 1
    for occurrence in read.values():
        facts.same(occurrence, out[0])
    if not whole or constant:  # a number is added to all units alike
        facts.ones = True
        facts.fix(out[0])


def _product(facts: _Facts, eq: Equation, read: Mapping[int, int], out: list[int], flow: Flow) -> None:
    """Carried (one factor and the output), contracted (two factors), or entry by entry (two factors and the output)."""
    factors = {t: o for t, o in read.items() if t != eq.added}
    if eq.added is not None and eq.added in read and out:
        facts.same(read[eq.added], out[0])
    occurrences = list(factors.values())
    if len(occurrences) == 1 and out:
        facts.same(occurrences[0], out[0])
    elif len(occurrences) == 2 and not out:
        facts.dual(*occurrences)
    elif eq.law == "gate" and len(occurrences) == 2:
        facts.monomial = True
        facts.both.append(_total({out[0]: -1}, *occurrences))
        for term, occurrence in factors.items():
            if eq.terms[term].tensor in flow.weights:  # a gain
                facts.fix(occurrence)
    else:
        facts.monomial = facts.monomial or bool(out) or len(occurrences) > 1
        facts.ones = facts.ones or len(occurrences) < 2
        for occurrence in [*occurrences, *out]:
            facts.fix(occurrence)


def _total(row: Row, *occurrences: int) -> Row:
    for occurrence in occurrences:
        row[occurrence] = row.get(occurrence, 0) + 1
    return row


def _entrywise(facts: _Facts, law: str, eq: Equation, read: Mapping[int, int], out: list[int], flow: Flow) -> None:
    activations = [o for t, o in read.items() if flow.kinds[str(eq.terms[t].tensor)] == "activation"]
    gains = [o for o in read.values() if o not in activations]
    if law in ("rms", "layer") and gains + out and activations:
        facts.monomial = facts.monomial or bool(gains)
        facts.orthogonal = True
        facts.ones = facts.ones or law == "layer"
        facts.same(activations[0], out[0])
        facts.scales.append({activations[0]: 1})
        if law == "layer":
            facts.signs.append({activations[0]: 1})
        for gain in gains:
            facts.fix(gain)
        return
    facts.monomial = True
    if law in ("odd", "positive") and len(activations) == 1 and out:
        facts.same(activations[0], out[0])
        (facts.scales if law == "odd" else facts.signs).append({out[0]: 1})
    elif law == "square" and len(activations) == 1 and out:
        facts.both.append({activations[0]: 2, out[0]: -1})
    else:
        for occurrence in [*read.values(), *out]:
            facts.fix(occurrence)


def _kind(facts: _Facts) -> str:
    if not facts.monomial:
        if facts.ones:
            return "orthogonal_fixing_ones"
        return "orthogonal" if facts.orthogonal or not _free_scale(facts.both) else "invertible"
    if _free_scale(facts.both + facts.scales):
        return "scaled_permutation"
    return "signed_permutation" if _free_sign(facts.both + facts.signs) else "permutation"


def _classes(rows: list[Row]) -> tuple[list[Row], int]:
    """The rows that are left after all equalities of two occurrences are substituted, and the number of unknowns."""
    parent: dict[int, int] = {o: o for row in rows for o in row}

    def find(o: int) -> int:
        while parent[o] != o:
            parent[o] = o = parent[parent[o]]
        return o

    for row in rows:
        if sorted(row.values()) == [-1, 1]:
            a, b = map(find, row)
            parent[a] = b
    left: dict[tuple[tuple[int, int], ...], Row] = {}
    for row in rows:
        short: Row = {}
        for occurrence, coefficient in row.items():
            root = find(occurrence)
            short[root] = short.get(root, 0) + coefficient
        short = {o: c for o, c in short.items() if c}
        if short:
            left[tuple(sorted(short.items()))] = short
    return list(left.values()), len({find(o) for o in parent})


def _matrix(rows: list[Row]) -> np.ndarray:
    """(rows, unknowns that occur in them)."""
    columns = {o: k for k, o in enumerate(dict.fromkeys(o for row in rows for o in row))}
    matrix = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for i, row in enumerate(rows):
        for occurrence, coefficient in row.items():
            matrix[i, columns[occurrence]] = coefficient
    return matrix


def _free_scale(rows: list[Row]) -> bool:
    """Is there a solution over the reals other than zero?"""
    left, unknowns = _classes(rows)
    return unknowns > (int(np.linalg.matrix_rank(_matrix(left))) if left else 0)


def _free_sign(rows: list[Row]) -> bool:
    """Is there a solution over two elements other than zero?"""
    left, unknowns = _classes(rows)
    matrix = _matrix(left) % 2 if left else np.zeros((0, 0), dtype=np.int64)
    rank = 0
    for column in range(matrix.shape[1]):
        below = np.flatnonzero(matrix[rank:, column]) + rank
        if below.size == 0:
            continue
        matrix[[rank, below[0]]] = matrix[[below[0], rank]]
        others = np.flatnonzero(matrix[:, column])
        matrix[others[others != rank]] ^= matrix[rank]
        rank += 1
    return unknowns > rank
