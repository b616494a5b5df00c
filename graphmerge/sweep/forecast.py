"""How far a sweep is, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True)
class Step:
    """Where a sweep is: ``done`` curves of ``total``, at work on one matching of one pair.

    ``part`` is the share of this curve that is measured; ``seconds_left`` is None until anything was finished.
    """

    done: int
    total: int
    pair: Pair
    matching: str
    part: float
    seconds_left: float | None


class Forecast:
    """The time left, from how long finished curves took: those of the same matching, else all of them."""

    def __init__(self, works: Sequence[tuple[Pair, str]], taken: Sequence[tuple[str, float]]) -> None:
        self.todo, self.total = list(works), len(works) + len(taken)
        self.taken: dict[str, list[float]] = {}
        for matching, seconds in taken:
            self.taken.setdefault(matching, []).append(seconds)
        self.since = time.perf_counter()

    def begin(self) -> None:
        """The first work that is to do begins now."""
        self.since = time.perf_counter()

    def finish(self, seconds: float) -> None:
        """It took so long."""
        _, matching = self.todo.pop(0)
        self.taken.setdefault(matching, []).append(seconds)

    def step(self, part: float) -> Step:
        """Where the sweep is now."""
        pair, matching = self.todo[0]
        return Step(self.total - len(self.todo), self.total, pair, matching, part, self._left())

    def _left(self) -> float | None:
        if not self.taken:
            return None
        first, *others = [self._expected(matching) for _, matching in self.todo]
        return max(0.0, first - (time.perf_counter() - self.since)) + sum(others)

    def _expected(self, matching: str) -> float:
        seconds = self.taken.get(matching) or [s for found in self.taken.values() for s in found]
        return sum(seconds) / len(seconds)
