"""What came out of a sweep: curves with their mean and standard error over pairs of models."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphmerge.errors import InputError
from graphmerge.evaluate import Curve
from graphmerge.files import read_json, write_json
from graphmerge.sweep.forecast import Pair
from graphmerge.sweep.journal import read_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VANILLA = "vanilla"
FORMAT = "graphmerge.curves.1"


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return math.fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float | None:
    """Standard deviation (with n - 1) divided by √n; None for fewer than two values.

    >>> standard_error([1.0, 3.0]), standard_error([1.0])
    (1.0, None)
    """
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


@dataclass(frozen=True)
class Curves:
    """The curves of one matching, one for each pair of models, each with the vanilla curve of its pair.

    Means and standard errors are over pairs. Pairs that share a model are not independent of each other, so with few
    models the error understates how other models would vary.

    >>> one = Curve((0.0, 0.5, 1.0), losses=(1.0, 1.5, 1.0), vanilla=(1.0, 3.0, 1.0), positions=64, seconds=0.1)
    >>> two = Curve((0.0, 0.5, 1.0), losses=(1.0, 2.5, 1.0), vanilla=(1.0, 4.0, 1.0), positions=64, seconds=0.1)
    >>> curves = Curves("weights", (("a", "b"), ("a", "c")), (one, two))
    >>> curves.mean, curves.standard_error
    ((1.0, 2.0, 1.0), (0.0, 0.5, 0.0))
    >>> curves.barrier, curves.barrier_error, curves.vanilla_barrier, curves.removed
    (1.0, 0.5, 2.5, 0.6)
    """

    matching: str
    pairs: tuple[Pair, ...]
    curves: tuple[Curve, ...]

    def __post_init__(self) -> None:
        if not self.curves or len(self.pairs) != len(self.curves):
            raise InputError(f"curves of {len(self.pairs)} pairs of models: there are {len(self.curves)}")
        first = self.curves[0]
        for curve in self.curves:
            if (curve.lambdas, curve.unit) != (first.lambdas, first.unit) or curve.vanilla is None:
                raise InputError("curves have the same λ, the same unit, and the vanilla curve beside")

    @property
    def lambdas(self) -> tuple[float, ...]:
        """The points of the line, the same for all pairs."""
        return self.curves[0].lambdas

    @property
    def unit(self) -> str:
        """What the loss is measured in."""
        return self.curves[0].unit

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean loss over pairs, at every λ."""
        return tuple(mean(column) for column in zip(*(c.losses for c in self.curves)))

    @property
    def standard_error(self) -> tuple[float, ...] | None:
        """Of the mean, over pairs, at every λ; None for one pair."""
        return _errors([c.losses for c in self.curves])

    @property
    def vanilla(self) -> Curves:
        """The curves of the same pairs as they are."""
        bare = (
            replace(c, losses=c.vanilla or (), metrics=c.vanilla_metrics, seconds=0.0, unsound=()) for c in self.curves
        )
        return Curves(VANILLA, self.pairs, tuple(bare))

    def of(self, metric: str) -> Curves:
        """The curves of a metric in the place of the loss (`Curve.of`).

        Raises:
            InputError: it was not measured.
        """
        return Curves(self.matching, self.pairs, tuple(curve.of(metric) for curve in self.curves))

    @property
    def barriers(self) -> tuple[float, ...]:
        """The barrier of every pair."""
        return tuple(curve.barrier for curve in self.curves)

    @property
    def barrier(self) -> float:
        """The mean of the pairs' barriers, each at its own peak (not the barrier of the mean curve)."""
        return mean(self.barriers)

    @property
    def barrier_error(self) -> float | None:
        """The standard error of `barrier` over pairs; None for one pair."""
        return standard_error(self.barriers)

    @property
    def vanilla_barrier(self) -> float:
        """The mean barrier of the pairs as they are."""
        return self.vanilla.barrier

    @property
    def removed(self) -> float | None:
        """The share of the mean vanilla barrier that is gone; None if there is none."""
        whole = self.vanilla_barrier
        return 1 - self.barrier / whole if whole else None

    def plot(self, path: str | Path | None = None) -> Figure:
        """The mean over λ in a band of one standard error, the vanilla one beside; saved to ``path`` if given."""
        from graphmerge.sweep.plot import plot_means

        return plot_means([self], path)

    def to_json(self, path: str | Path | None = None) -> str:
        """All curves with their mean and standard error as JSON text, written to ``path`` too if one is given."""
        data = {
            "format": FORMAT,
            "matching": self.matching,
            "pairs": [list(pair) for pair in self.pairs],
            "curves": [json.loads(curve.to_json()) for curve in self.curves],
            "mean": list(self.mean),
            "standard_error": None if self.standard_error is None else list(self.standard_error),
            "barrier": self.barrier,
            "barrier_error": self.barrier_error,
            "vanilla_barrier": self.vanilla_barrier,
        }
        return write_json(data, path)

    @classmethod
    def from_json(cls, source: str | Path) -> Curves:
        """The curves in a JSON text or file.

        Raises:
            InputError: it holds none that `to_json` wrote.
        """
        data, where = read_json(source)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise InputError(f"{where} holds no curves; expected what Curves.to_json wrote")
        curves = tuple(Curve.from_json(json.dumps(curve)) for curve in data["curves"])
        return cls(data["matching"], tuple((a, b) for a, b in data["pairs"]), curves)


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep found: `Curves` by the name of their matching, ``vanilla`` among them, as long as any pair has them.

    ``matches`` are the groups, notes, objective and seconds of each match, by matching and pair.
    """

    curves: Mapping[str, Curves]
    matches: Mapping[tuple[str, Pair], Mapping[str, Any]] = field(default_factory=dict)

    def __getitem__(self, matching: str) -> Curves:
        """The curves of one matching."""
        if matching not in self.curves:
            raise InputError(f"there is no matching {matching!r}; there are {', '.join(self.curves) or 'none'}")
        return self.curves[matching]

    def of(self, metric: str) -> Sweep:
        """The sweep with a metric in the place of the loss.

        Raises:
            InputError: it was not measured.
        """
        return Sweep({name: curves.of(metric) for name, curves in self.curves.items()}, self.matches)

    def plot(self, path: str | Path | None = None) -> Figure:
        """The mean of every matching in a band of one standard error, the vanilla curve beside."""
        from graphmerge.sweep.plot import plot_means

        matched = [curves for name, curves in self.curves.items() if name != VANILLA]
        return plot_means(matched or list(self.curves.values()), path)

    @classmethod
    def read(cls, path: str | Path) -> Sweep:
        """The sweep in a results file, finished or not: what it has so far.

        Raises:
            InputError: the file is missing, or no results file of a sweep.
        """
        header, lines = read_lines(Path(path))
        return cls.of_lines(lines, header["matchings"])

    @classmethod
    def of_lines(cls, lines: Sequence[Mapping[str, Any]], matchings: Sequence[str] | Mapping[str, Any]) -> Sweep:
        """The sweep that lines of a results file say, the matchings in the order given."""
        by_work = {((line["pair"][0], line["pair"][1]), line["matching"]): line for line in lines}
        bare = {pair: _curve(line) for (pair, name), line in by_work.items() if name == VANILLA}
        found = {}
        for name in (VANILLA, *matchings):
            curves = {
                pair: _beside(_curve(by_work[pair, name]), whole)
                for pair, whole in bare.items()
                if (pair, name) in by_work
            }
            if curves:
                found[name] = Curves(name, tuple(curves), tuple(curves.values()))
        matches = {(name, pair): line["match"] for (pair, name), line in by_work.items() if line.get("match")}
        return cls(found, matches)


def _curve(line: Mapping[str, Any]) -> Curve:
    return Curve.from_json(json.dumps(line["curve"]))


def _beside(curve: Curve, vanilla: Curve) -> Curve:
    return replace(curve, vanilla=vanilla.losses, vanilla_metrics=vanilla.metrics)


def _errors(rows: Sequence[Sequence[float]]) -> tuple[float, ...] | None:
    found = tuple(e for column in zip(*rows) if (e := standard_error(column)) is not None)
    return found or None
