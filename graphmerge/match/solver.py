"""Solving for a set of groups while all others stand still: one connected part of the problem after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from graphmerge.match.ascent import Ascent, Progress, quiet
from graphmerge.match.terms import Arrays, Term, arrays_of
from graphmerge.symmetry import Permutations, Symmetry

AT_BOUND = 1 - 1e-6  # nothing can be gained above this share of the bound


@dataclass(frozen=True, eq=False)
class Solution:
    """Permutations and the objective: at the start, then after every sweep."""

    permutations: Permutations
    history: tuple[float, ...]


class Solver:
    """Finds the best permutations for sets of groups; what two sets have in common is solved once.

    ``standing`` (the identity if None) is where all groups are that are not solved.
    """

    def __init__(
        self,
        terms: Sequence[Term],
        symmetry: Symmetry,
        sweeps: int,
        seed: int,
        progress: Progress | None = None,
        standing: Permutations | None = None,
    ) -> None:
        self.terms, self.symmetry, self.sweeps, self.seed = terms, symmetry, sweeps, seed
        self.progress = progress or quiet
        self.standing = standing or symmetry.identity()
        self.initial = arrays_of(self.standing)
        self.solved: dict[frozenset[str], tuple[Arrays, list[float]]] = {}

    def solve(self, groups: Iterable[str]) -> Solution:
        """The best permutations of ``groups``, all others as they are ``standing``."""
        whole = Ascent(self.terms, groups, self.initial)
        arrays, histories, moved = dict(self.standing.arrays), [], set()
        for part in whole.parts():
            moved |= part
            if part not in self.solved:
                self.solved[part] = self._solve_part(part)
            found, history = self.solved[part]
            arrays |= {group: found[group] for group in part}
            histories.append(history)
        still = sum(t.value(self.initial) for t in self.terms if not moved & t.groups)
        # a part that has converged stays where it is
        rows = itertools.zip_longest(*histories)
        steps, latest = [], [h[0] for h in histories]
        for row in rows:
            latest = [last if value is None else value for value, last in zip(row, latest)]
            steps.append(still + sum(latest))
        return Solution(Permutations(self.symmetry, arrays), tuple(steps or [still]))

    def _solve_part(self, part: frozenset[str]) -> tuple[Arrays, list[float]]:
        """From what is pinned outward; then, if that leaves room, from where all stand; the better of the two."""
        terms = [t for t in self.terms if part & t.groups]
        unsolved = {name: array for name, array in self.initial.items() if name not in part}
        first = self._run(Ascent(terms, part, unsolved))
        bound = sum(t.bound for t in terms)
        if len(first[1]) == 1 or first[1][-1] >= AT_BOUND * bound:
            return first
        second = self._run(Ascent(terms, part, self.initial))
        return max(first, second, key=lambda run: run[1][-1])

    def _run(self, ascent: Ascent) -> tuple[Arrays, list[float]]:
        rng = np.random.default_rng(self.seed)
        ascent.start(self.progress)
        history = [ascent.objective()]
        while ascent.stale and len(history) <= self.sweeps:
            ascent.sweep(rng, self.progress)
            history.append(ascent.objective())
        return ascent.arrays, history
