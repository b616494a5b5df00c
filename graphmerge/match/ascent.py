"""Coordinate ascent: family after family is solved while the others stand still, until none gains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from graphmerge.match.family import Family, families, is_ready, places, solve_family
from graphmerge.match.terms import Arrays, Term, is_known

GAIN = 1e-10  # a step must gain this share of the objective's bound, else it is rounding


Progress = Callable[[int, int], None]


def quiet(done: int, total: int) -> None:
    """Progress that nobody asked for."""


class Ascent:
    """The terms of an objective, and the permutations reached so far (``arrays``)."""

    def __init__(self, terms: Sequence[Term], moving: Iterable[str], arrays: Arrays) -> None:
        self.terms = terms
        self.arrays = dict(arrays)
        self.families = {family.root: family for family in families(terms, moving)}
        self.coupled = {root: self._partners(family) for root, family in self.families.items()}
        self.stale = {root for root in self.families if self.coupled[root]}  # what may gain if solved again

    def start(self, progress: Progress = quiet) -> None:
        """Solve what is not solved, first the families that are tied most firmly to what is: outward from the pins."""
        waiting = [f for f in self.families.values() if not self.arrays.keys() >= set(f.members)]
        total = len(waiting)
        while waiting:
            family = max(waiting, key=self._readiness) if any(self.coupled.values()) else waiting[0]
            waiting.remove(family)
            if all(ready for _, ready in self._read(family)):
                self.stale.discard(family.root)
            self.arrays |= self._solved(family)
            progress(total - len(waiting), total)

    def sweep(self, rng: np.random.Generator | None = None, progress: Progress = quiet) -> None:
        """Solve every stale family once, in random order if ``rng`` is given."""
        order = [root for root in self.families if root in self.stale]
        for done, k in enumerate(rng.permutation(len(order)) if rng else range(len(order)), start=1):
            self._step(self.families[order[k]])
            progress(done, len(order))

    def parts(self) -> list[frozenset[str]]:
        """The moving groups, apart where no chain of terms connects them."""
        found: list[set[str]] = []
        for root, family in self.families.items():
            near = {g for other in self.coupled[root] for g in self.families[other].members} | set(family.members)
            found = [p for p in found if not p & near] + [near.union(*(p for p in found if p & near))]
        return [frozenset(part) for part in found]

    def climb(self, sweeps: int) -> None:
        """`sweep` until nothing gains."""
        while self.stale and sweeps:
            self.sweep()
            sweeps -= 1

    def objective(self) -> float:
        """What all terms are worth."""
        return float(np.sum([term.value(self.arrays) for term in self.terms]))

    def _step(self, family: Family) -> None:
        self.stale.discard(family.root)
        found = self._solved(family)
        if all(np.array_equal(array, self.arrays[group]) for group, array in found.items()):
            return
        touched = [t for t in self.terms if t.groups & set(family.members)]
        changed = self.arrays | found
        gain = sum(t.value(changed) for t in touched) - sum(t.value(self.arrays) for t in touched)
        # what is solved is the objective with all else standing; a group that stands twice in a term may lose by it
        if gain > GAIN * sum(t.bound for t in touched):
            self.arrays = changed
            self.stale |= self.coupled[family.root]

    def _solved(self, family: Family) -> dict[str, np.ndarray]:
        return solve_family(family, self.terms, self.arrays, solve_within)

    def _readiness(self, family: Family) -> float:
        """The share of a family's terms in which all else is solved."""
        found = self._read(family)
        return sum(term.bound for term, ready in found if ready) / (sum(term.bound for term, _ in found) or 1)

    def _read(self, family: Family) -> list[tuple[Term, bool]]:
        """The terms of a family, and whether all that stands beside it there is solved."""
        found = []
        for term, _, together in places(family, self.terms):
            beside = [s for s in together if term.slots[s].group not in family.members]
            found.append((term, is_known(term, beside, self.arrays) and is_ready(term, together, self.arrays)))
        return found

    def _partners(self, family: Family) -> set[str]:
        """Roots of the families that share a term with this one; its own if it stands in a term twice."""
        found = set()
        for term, _, together in places(family, self.terms):
            beside = {s.group for k, s in enumerate(term.slots) if k not in together or s.group not in family.members}
            found |= {other.root for other in self.families.values() if beside & set(other.members)}
        return found


def solve_within(terms: Sequence[Term], arrays: Arrays) -> tuple[dict[str, np.ndarray], float]:
    """The groups of ``terms`` that are not solved, and what all the terms are then worth."""
    moving = [g for g in dict.fromkeys(slot.group for t in terms for slot in t.slots) if g not in arrays]
    ascent = Ascent(terms, moving, arrays)
    ascent.start()
    ascent.climb(sweeps=10)
    return {group: ascent.arrays[group] for group in moving}, ascent.objective()
