"""The losses on a line, their barrier, their figure and their file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphmerge.errors import InputError
from graphmerge.evaluate.metrics import METRICS
from graphmerge.files import read_json, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = "graphmerge.curve.1"
METRIC_FIELDS = ("metrics", "vanilla_metrics")
OPTIONAL = ("unsound", *METRIC_FIELDS)  # in files only where there is any


@dataclass(frozen=True)
class Curve:
    """Losses at ``lambdas``, from A (λ = 0) to B (λ = 1): with B permuted (``losses``) and as it was (``vanilla``).

    ``vanilla`` is None where it was not measured, and the same as ``losses`` where nothing was permuted. ``unsound``
    says why permuted B is not the function that B is, where that was allowed: then the chord ends as ``vanilla`` does.
    ``metrics`` and ``vanilla_metrics`` hold the metrics that were asked for, at the same points; `of` makes a curve of
    one.

    >>> curve = Curve((0.0, 0.5, 1.0), losses=(1.0, 1.5, 1.0), vanilla=(1.0, 3.0, 1.0), positions=64, seconds=0.1)
    >>> curve.barrier, curve.vanilla_barrier, curve.removed
    (0.5, 2.0, 0.75)
    """

    lambdas: tuple[float, ...]
    losses: tuple[float, ...]
    vanilla: tuple[float, ...] | None
    positions: int
    seconds: float
    unit: str = "loss"
    unsound: tuple[str, ...] = ()
    metrics: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)
    vanilla_metrics: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in METRIC_FIELDS:
            rows = {key: tuple(float(v) for v in row) for key, row in getattr(self, name).items()}
            object.__setattr__(self, name, rows)
            if wrong := [key for key, row in rows.items() if len(row) != len(self.lambdas)]:
                raise InputError(f"a curve of {len(self.lambdas)} points has {len(rows[wrong[0]])} of {wrong[0]}")
        for name in ("lambdas", "losses", "vanilla"):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, tuple(float(v) for v in values))
                if len(values) != len(self.lambdas):
                    raise InputError(f"a curve of {len(self.lambdas)} points has {len(values)} {name}")
        object.__setattr__(self, "unsound", tuple(self.unsound))

    @property
    def excess(self) -> tuple[float, ...]:
        """Loss above the chord from A to B (a metric that is to be high: below it), at every λ.

        It is 0 at the ends, but for that of a B that is ``unsound``.

        Raises:
            InputError: it is, and the loss of B as it is was not measured.
        """
        if self.unsound:
            if self.vanilla is None:
                raise InputError("permuted B is not the function that B is: there is no chord without vanilla losses")
            inner = _excess(self.lambdas, (*self.losses[:-1], self.vanilla[-1]), self.unit)
            return (*inner[:-1], _sign(self.unit) * (self.losses[-1] - self.vanilla[-1]))
        return _excess(self.lambdas, self.losses, self.unit)

    @property
    def barrier(self) -> float:
        """``max over λ of L((1-λ)A + λB) - [(1-λ) L(A) + λ L(B)]``, in the unit of the loss."""
        return max(self.excess)

    @property
    def vanilla_barrier(self) -> float | None:
        """The barrier without permutations; None if it was not measured."""
        return max(_excess(self.lambdas, self.vanilla, self.unit)) if self.vanilla is not None else None

    @property
    def removed(self) -> float | None:
        """The share of the vanilla barrier that the permutations remove; None if there is no vanilla barrier."""
        whole = self.vanilla_barrier
        return 1 - self.barrier / whole if whole else None

    @property
    def peak(self) -> float:
        """The λ where the barrier stands."""
        return self.lambdas[int(np.argmax(self.excess))]

    @property
    def midpoint(self) -> float:
        """The loss at λ = ½; between its two neighbours where no point lies there."""
        return float(np.interp(0.5, self.lambdas, self.losses))

    def of(self, metric: str) -> Curve:
        """The curve of a metric in the place of the loss; its barrier is how much worse it is than the chord at worst.

        Raises:
            InputError: it was not measured.
        """
        if metric not in self.metrics:
            raise InputError(f"{metric!r} was not measured on this line; there are {', '.join(self.metrics) or 'none'}")
        values, beside = self.metrics[metric], self.vanilla_metrics.get(metric)
        return dataclasses.replace(self, losses=values, vanilla=beside, unit=metric, metrics={}, vanilla_metrics={})

    @property
    def label(self) -> str:
        """What is measured, with its unit: ``loss (nats per token)``, ``accuracy``."""
        return self.unit if self.unit in (*METRICS, "loss") else f"loss ({self.unit})"

    def plot(self, path: str | Path | None = None) -> Figure:
        """Both curves over λ, with the chord; saved to ``path`` (its suffix says the format) if one is given."""
        from graphmerge.evaluate.plot import plot_curve

        return plot_curve(self, path)

    def to_json(self, path: str | Path | None = None) -> str:
        """The curve as JSON text, written to ``path`` too if one is given; `from_json` reads either."""
        data = {"format": FORMAT, **dataclasses.asdict(self)}
        data = {key: value for key, value in data.items() if value or key not in OPTIONAL}
        return write_json(data, path)

    @classmethod
    def from_json(cls, source: str | Path) -> Curve:
        """The curve in a JSON text or file.

        Raises:
            InputError: it is no curve that `to_json` wrote.
        """
        data, where = read_json(source)
        names = {field.name for field in dataclasses.fields(cls)}
        whole = isinstance(data, dict) and data.pop("format", None) == FORMAT
        if not whole or not names - set(OPTIONAL) <= data.keys() <= names:
            raise InputError(f"{where} holds no curve; expected what Curve.to_json wrote")
        return cls(**data)


def _excess(lambdas: Sequence[float], losses: Sequence[float], unit: str) -> tuple[float, ...]:
    chord = [(1 - lam) * losses[0] + lam * losses[-1] for lam in lambdas]
    inner = [_sign(unit) * (loss - between) for loss, between in zip(losses, chord)][1:-1]
    return (0.0, *inner, 0.0)


def _sign(unit: str) -> int:
    """-1 for a metric that is to be high."""
    return -1 if unit in METRICS and METRICS[unit].higher_is_better else 1
