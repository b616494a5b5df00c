"""The loss on the line between two models."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from graphmerge.checkpoint import check_pair
from graphmerge.device import resolve_device
from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch, listed_once
from graphmerge.evaluate.curve import Curve
from graphmerge.evaluate.evaluate import Evaluation, Progress, measure
from graphmerge.evaluate.line import Line
from graphmerge.evaluate.loss import DefaultLoss, Loss
from graphmerge.evaluate.metrics import named_metrics
from graphmerge.merge.inputs import Model, align, read_inputs
from graphmerge.symmetry import Permutations


def barrier(
    a: Model,
    b: Model,
    data: Iterable[Batch],
    permutations: Permutations | None = None,
    loss: Loss | None = None,
    points: int = 21,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
    vanilla: bool = True,
    model: nn.Module | None = None,
    metrics: str | Sequence[str] = (),
) -> Curve:
    """The loss at evenly spaced points of the line from A to B, with B permuted and, beside it, as it is.

    The barrier is ``max over λ of L((1-λ)A + λB) - [(1-λ) L(A) + λ L(B)]`` (Frankle et al., arXiv 1912.05671): 0 at the
    ends, so never negative. All points are measured with one copy of the model whose weights are overwritten, on
    batches that are drawn from ``data`` once.

    Args:
        a, b: modules, paths or state dicts.
        data, loss, device, metrics: as for `evaluate`.
        permutations: moves b; None measures the line between the models as they are, which is then both curves.
        points: how many, both ends included.
        progress: called with (batches done, batches in all), over both curves.
        vanilla: False leaves out the curve without permutations.
        model: the module that the weights are run in, needed only if a and b are both state dicts; it is not changed.

    Raises:
        InputError: fewer than three points, no module to run the weights in, or as `evaluate`.
        ArchitectureMismatch: a, b and the permutations do not belong to one architecture.
    """
    if points < 3:
        raise InputError(f"a barrier takes three points or more; got {points}")
    start, wanted = time.perf_counter(), named_metrics(metrics)
    batches = listed_once(data)
    inputs = read_inputs([a, b])
    module = inputs[0].module or inputs[1].module or model
    if module is None:
        raise InputError("a and b are both state dicts; give model=, the module to run the weights in")
    check_pair(inputs[0].state, module.state_dict(), names=(inputs[0].name, type(module).__name__))
    moves = permutations is not None and not permutations.is_identity
    unsound = permutations.symmetry.unsound if permutations is not None and moves else ()
    ours, theirs = align(inputs, permutations)
    lambdas = [float(lam) for lam in np.linspace(0, 1, points)]
    curves = 1 + (moves and vanilla)
    clock = _Clock(progress, len(batches) * (points * curves - (curves - 1)))
    line = Line(module, ours, resolve_device(device))
    measured = _Measure(line, batches, loss or DefaultLoss(), clock, wanted)
    merged = measured.towards(theirs, lambdas)
    beside = None
    if vanilla:  # both curves start at A
        beside = [merged[0], *measured.towards(inputs[1].state, lambdas[1:])] if moves else merged
    return Curve(
        lambdas=tuple(lambdas),
        losses=tuple(e.loss for e in merged),
        vanilla=tuple(e.loss for e in beside) if beside else None,
        positions=merged[0].positions,
        seconds=time.perf_counter() - start,
        unit=merged[0].unit,
        unsound=unsound,
        metrics=_rows(merged, wanted),
        vanilla_metrics=_rows(beside or [], wanted),
    )


def _rows(found: Sequence[Evaluation], metrics: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The values of every metric over the points."""
    return {name: tuple(e.metrics[name] for e in found) for name in metrics} if found else {}


@dataclass(frozen=True, eq=False)
class _Measure:
    """How points are measured."""

    line: Line
    batches: list[Batch]
    loss: Loss
    clock: _Clock
    metrics: Sequence[str]

    def towards(self, b: Mapping[str, torch.Tensor], lambdas: Sequence[float]) -> list[Evaluation]:
        """The evaluations of ``(1-λ)A + λB``."""
        self.line.towards(b)
        return [self._at(lam) for lam in lambdas]

    def _at(self, lam: float) -> Evaluation:
        model = self.line.at(lam)
        try:
            return measure(model, self.batches, self.loss, self.line.device, self.clock.tick, self.metrics)
        except InputError as error:
            raise InputError(f"at λ = {lam:g}: {error}") from None


class _Clock:
    """Counts batches over all points for one progress callback."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def tick(self, _done: int, _total: int) -> None:
        """One more batch is done."""
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)
