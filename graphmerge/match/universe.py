"""Several models brought into one order: coordinate ascent, where a coordinate is all of a model's permutations.

The objective is the sum over all pairs of what two models are worth together. Model after model is matched to the
others, which stand still (`graphmerge.match.pairs`), by the solver of two models; so the objective never falls. It
starts from every model matched to one of them, and so never ends below that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphmerge.match.ascent import GAIN, Progress
from graphmerge.match.pairs import Pairs, WeightPairs
from graphmerge.match.solver import Solver
from graphmerge.match.terms import Similarity, Term, arrays_of
from graphmerge.match.ties import decide, open_groups
from graphmerge.symmetry import Permutations, Symmetry


@dataclass(frozen=True, eq=False)
class Order:
    """What moves every model into the order of the first, and the objective: at the start, and after every round.

    ``left`` are the groups that the pairs left open, so that weights decided.
    """

    placed: tuple[Permutations, ...]
    history: tuple[float, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Universe:
    """How ``count`` models are brought into one order; ``sweeps`` bounds those of a match, and the rounds."""

    pairs: Pairs
    symmetry: Symmetry
    count: int
    sweeps: int
    seed: int
    progress: Progress | None = None

    def to_one(self, groups: Iterable[str], reference: int = 0) -> Order:
        """Every model matched to one of them; all other ``groups`` stay."""
        return self._solved(tuple(groups), (reference,), rounds=0)

    def solve(
        self, groups: Iterable[str], references: Sequence[int] = (0,), weights: WeightPairs | None = None
    ) -> Order:
        """The best order that is reached from any of the ``references``; ``weights`` decide what the pairs leave open.

        The history is that of the start which led there.
        """
        groups = tuple(groups)
        order = self._solved(groups, references, self.sweeps)
        return order if weights is None else self._decided(order, groups, weights)

    def _solved(self, groups: tuple[str, ...], references: Sequence[int], rounds: int) -> Order:
        placed, history = [self.symmetry.identity()] * self.count, (0.0,)
        for stage, solving in enumerate(self.pairs.stages):
            own = tuple(group for group in groups if group in solving)
            runs = [self._run(stage, own, placed, reference, rounds) for reference in references]
            found = max(runs, key=lambda run: run.history[-1])
            placed = list(found.placed)
            # what a stage counts, the others do not
            history = (*(h + found.history[0] for h in history), *(history[-1] + h for h in found.history[1:]))
        return Order(tuple(placed), history)

    def _run(
        self, stage: int, own: tuple[str, ...], start: Sequence[Permutations], reference: int, rounds: int
    ) -> Order:
        """From one reference: all others matched to it, then each to the rest until none gains."""
        placed = list(start)
        for model in set(range(self.count)) - {reference}:
            terms = self.pairs.terms(stage, model, {reference: placed[reference]})
            placed[model] = self._matched(terms, placed[model], own)
        history = [self._objective(stage, placed)]
        stale = set(range(self.count)) if self.count > 2 else set[int]()  # two are matched already
        while stale and len(history) <= rounds:
            gained = 0.0
            for model in range(self.count):
                if model in stale:
                    gain = self._step(stage, model, placed, own)
                    stale = stale - {model} if not gain else set(range(self.count)) - {model}
                    gained += gain
            history.append(history[-1] + gained)
        back = placed[0].inverse()  # where the first model stands is nothing that the objective sees
        return Order(tuple(back @ permutations for permutations in placed), tuple(history))

    def _step(self, stage: int, model: int, placed: list[Permutations], own: tuple[str, ...]) -> float:
        """Match a model to all others; what is gained, 0 if it stays."""
        terms = self.pairs.terms(stage, model, _others(placed, model))
        found = self._matched(terms, placed[model], own)
        gain = _worth(terms, found) - _worth(terms, placed[model])
        if gain <= GAIN * sum(term.bound for term in terms):  # rounding
            return 0.0
        placed[model] = found
        return gain

    def _matched(self, terms: Sequence[Term], standing: Permutations, own: tuple[str, ...]) -> Permutations:
        solver = Solver(terms, self.symmetry, self.sweeps, self.seed, self.progress, standing)
        return solver.solve(own).permutations

    def _objective(self, stage: int, placed: Sequence[Permutations]) -> float:
        """The sum over all pairs."""
        return sum(
            _worth(self.pairs.terms(stage, model, dict(enumerate(placed[:model]))), placed[model])
            for model in range(1, self.count)
        )

    def _decided(self, order: Order, groups: tuple[str, ...], weights: WeightPairs) -> Order:
        """Model after model, what activations leave open is decided by the weights of those before it."""
        placed, left = list(order.placed), set[str]()
        for stage, solving in enumerate(self.pairs.stages):
            own = tuple(group for group in groups if group in solving)
            for model in range(1, self.count):
                terms = self.pairs.terms(stage, model, _others(placed, model))
                read = [term for term in terms if isinstance(term, Similarity)]
                if found := open_groups(read, placed[model], own):
                    before = weights.terms(0, model, dict(enumerate(placed[:model])))
                    placed[model] = decide(read, before, placed[model], found)
                    left.update(found)
        return Order(tuple(placed), order.history, tuple(group for group in groups if group in left))


def _others(placed: Sequence[Permutations], model: int) -> dict[int, Permutations]:
    return {n: permutations for n, permutations in enumerate(placed) if n != model}


def _worth(terms: Sequence[Term], permutations: Permutations) -> float:
    arrays = arrays_of(permutations)
    return sum(term.value(arrays) for term in terms)
