"""Solving in stages: first the groups that some terms decide, then, with those standing, what the others decide.

One stage is the rule. Two are needed where heads are told apart by some of their activations alone: what the others
read is then solved inside of heads that have found their places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from graphmerge.match.ascent import Progress
from graphmerge.match.solver import Solution, Solver
from graphmerge.match.terms import Similarity, Term, WeightTerm
from graphmerge.match.ties import decide, open_groups
from graphmerge.symmetry import Permutations, Symmetry


@dataclass(frozen=True)
class Stage:
    """Terms, and the groups that are solved by them."""

    terms: tuple[Term, ...]
    groups: frozenset[str]


class Stages:
    """Stage after stage, for any set of groups."""

    def __init__(
        self, stages: Sequence[Stage], symmetry: Symmetry, sweeps: int, seed: int, progress: Progress | None = None
    ) -> None:
        self.stages, self.symmetry = stages, symmetry

        def solver(terms: Sequence[Term], standing: Permutations | None) -> Solver:
            return Solver(terms, symmetry, sweeps, seed, progress, standing)

        self.solver, self.first = solver, solver(stages[0].terms, None)

    def solve(self, groups: Iterable[str], weights: Callable[[], list[WeightTerm]] | None = None) -> Decided:
        """The best permutations of ``groups``, all others at the identity; ``weights`` decide what stays open."""
        groups = tuple(groups)
        found, left = self._solved(self.first, self.stages[0], groups, weights)
        history = found.history
        for stage in self.stages[1:]:
            after, more = self._solved(self.solver(stage.terms, found.permutations), stage, groups, weights)
            # what a stage counts, the others do not
            history = (*(step + after.history[0] for step in history), *(history[-1] + s for s in after.history[1:]))
            found, left = after, left + more
        return Decided(found.permutations, history, left)

    def _solved(
        self, solver: Solver, stage: Stage, groups: tuple[str, ...], weights: Callable[[], list[WeightTerm]] | None
    ) -> tuple[Solution, tuple[str, ...]]:
        own = tuple(group for group in groups if group in stage.groups)
        found = solver.solve(own)
        read = [term for term in stage.terms if isinstance(term, Similarity)]
        left = () if weights is None else open_groups(read, found.permutations, own)
        if weights is not None and left:
            return Solution(decide(read, weights(), found.permutations, left), found.history), left
        return found, left


@dataclass(frozen=True, eq=False)
class Decided(Solution):
    """A `Solution`, and the groups that were ``left`` open by the terms, so that weights decided."""

    left: tuple[str, ...] = ()


def stages_of(
    terms: Sequence[Term], counts: Sequence[bool], symmetry: Symmetry, heads: frozenset[str]
) -> tuple[Stage, ...]:
    """One stage; two if some terms of the ``heads`` do not count for them: those then decide what they alone read."""
    everything = frozenset(symmetry.by_name)
    if all(counts):
        return (Stage(tuple(terms), everything),)
    kept = tuple(term for term, counting in zip(terms, counts) if counting)
    late = tuple(term for term, counting in zip(terms, counts) if not counting)
    read = {group for term in kept for group in term.groups}
    behind = frozenset(group for term in late for group in term.groups) & everything - read - heads
    return (Stage(kept, everything - behind), Stage(late, behind))
