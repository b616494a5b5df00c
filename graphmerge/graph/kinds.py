"""`Group.kind`: the largest class of maps along a group's axes that every op commutes with.

Each occurrence of a leaf carries the map itself or its inverse transpose (primal or dual). Ops without entry-wise
nonlinearities leave every invertible map; a leaf met as both primal and dual is orthogonal at most. Where an op acts
entry by entry only monomial maps remain: then the scales of all occurrences are unknowns of a linear system, over the
reals for positive scales and over two elements for signs, and the kind is what solutions it has. Gains of a norm keep
their scale: trading it with the next matrix is no map of the axis. What is found is said axis by axis (`Action`), so
that it can be tried (`graphmerge.verify.kinds`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graphmerge.algebra import Equation, Factor, Solution
from graphmerge.algebra.choices import LetterKey
from graphmerge.algebra.leaves import Instance
from graphmerge.graph.powers import Row, Substitution, powers
from graphmerge.graph.roles import Flow
from graphmerge.symmetry import DUAL, PRIMAL, STILL, Action


@dataclass(frozen=True)
class LeafKind:
    """The kind of one leaf, and how a map of that kind acts at each of its occurrences in parameters and buffers."""

    kind: str
    actions: Mapping[int, Action]


@dataclass
class _Facts:
    """What all ops together say about one leaf.

    ``ties`` are the sides (a = ± b) as they would be if every op let a map through; they say nothing about what is
    sound, only on which side of a map an axis stands.
    """

    monomial: bool = False
    ones: bool = False
    orthogonal: bool = False
    both: list[Row] = field(default_factory=list)  # for scales and signs
    scales: list[Row] = field(default_factory=list)
    signs: list[Row] = field(default_factory=list)
    ties: list[tuple[int, int, int]] = field(default_factory=list)
    gains: list[int] = field(default_factory=list)

    def same(self, a: int, b: int) -> None:
        self.both.append({a: 1, b: -1} if a != b else {})
        self.through(a, b)

    def dual(self, a: int, b: int) -> None:
        self.both.append({a: 1, b: 1} if a != b else {a: 2})
        self.through(a, b, -1)

    def through(self, a: int, b: int, sign: int = 1) -> None:
        self.ties.append((a, b, sign))

    def fix(self, occurrence: int) -> None:
        self.both.append({occurrence: 1})

    def gain(self, occurrence: int) -> None:
        self.fix(occurrence)
        self.gains.append(occurrence)


def find_kinds(solution: Solution, flow: Flow) -> dict[int, LeafKind]:
    """Class of every free leaf."""
    free = {n for n, leaf in solution.leaves.items() if leaf.pinned is None and leaf.size > 1}
    facts: dict[int, _Facts] = defaultdict(_Facts)
    working = solution.working
    for instance in working.instances:
        eq = working.system.equations[instance.equation]
        for key, places in _places(solution, instance).items():
            leaf = solution.leaf_at(next(iter(places.values())))
            if leaf in free:
                _state(facts[leaf], eq, key, places, flow, instance.equation)
    factors = _factors(solution)
    return {leaf: _kind_of(facts[leaf], factors[leaf]) for leaf in free}


def _factors(solution: Solution) -> dict[int, list[Factor]]:
    """The factors of each leaf in parameters and buffers, in order."""
    found: dict[int, list[Factor]] = defaultdict(list)
    for boxes in solution.boxes.values():
        for box in boxes:
            for factor in box.factors:
                found[factor.leaf].append(factor)
    return found


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
        _let_through(facts, read.values(), out)
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
            if eq.terms[term].tensor in flow.weights:
                facts.gain(occurrence)
            else:
                _let_through(facts, [occurrence], out)
    else:
        facts.monomial = facts.monomial or bool(out) or len(occurrences) > 1
        facts.ones = facts.ones or len(occurrences) < 2
        for occurrence in [*occurrences, *out]:
            facts.fix(occurrence)
        _let_through(facts, occurrences, out)


def _let_through(facts: _Facts, read: Iterable[int], out: Sequence[int]) -> None:
    for occurrence in read:
        for written in out:
            facts.through(occurrence, written)


def _total(row: dict[int, int], *occurrences: int) -> dict[int, int]:
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
        for number, parameter in enumerate(gains):  # the gain, and perhaps a bias
            facts.gain(parameter) if number == 0 else facts.fix(parameter)
            _let_through(facts, gains[1:], out)
        return
    facts.monomial = True
    if law in ("odd", "positive") and len(activations) == 1 and out:
        facts.same(activations[0], out[0])
        (facts.scales if law == "odd" else facts.signs).append({out[0]: 1})
    elif law == "square" and len(activations) == 1 and out:
        facts.both.append({activations[0]: 2, out[0]: -1})
        facts.through(activations[0], out[0])
    else:
        for occurrence in [*read.values(), *out]:
            facts.fix(occurrence)
        _let_through(facts, read.values(), out)


def _kind_of(facts: _Facts, factors: Sequence[Factor]) -> LeafKind:
    """Factors of pairs (two occurrences that move as one) must agree about everything."""
    jointly = [_occurrences(factor) for factor in factors]
    for first, *others in jointly:
        for other in others:
            facts.same(first, other)
    wanted = [first for first, *_ in jointly]
    scales = powers(facts.both + facts.scales, wanted)
    signs = powers(facts.both + facts.signs, wanted, modulus=2)
    kind = _named(facts, bool(scales[wanted[0]]), bool(signs[wanted[0]]))
    sides = _sides(facts, wanted)
    if not facts.monomial:  # a linear map: its side says all
        return LeafKind(kind, {o: Action(sides[o]) for o in wanted})
    return LeafKind(kind, {o: Action(sides[o], scales[o], signs[o]) for o in wanted})


def _occurrences(factor: Factor) -> tuple[int, ...]:
    return factor.occurrences + (factor.inner.occurrences if factor.inner is not None else ())


def _named(facts: _Facts, scales: bool, signs: bool) -> str:
    if not facts.monomial:
        if facts.ones:
            return "orthogonal_fixing_ones"
        return "orthogonal" if facts.orthogonal or not scales else "invertible"
    if scales:
        return "scaled_permutation"
    return "signed_permutation" if signs else "permutation"


def _sides(facts: _Facts, wanted: Sequence[int]) -> dict[int, str]:
    """The first axis of what hangs together is primal; what only gains hang together with stands still."""
    known = Substitution()
    for a, b, sign in facts.ties:
        known.tie(a, b, sign)
    for gain in facts.gains:
        known.vanish(gain)
    first: dict[int, int] = {}
    sides = {}
    for occurrence in wanted:
        root, sign = known.find(occurrence)
        sides[occurrence] = {0: STILL, 1: PRIMAL, -1: DUAL}[sign * first.setdefault(root, sign or 1)]
    return sides
