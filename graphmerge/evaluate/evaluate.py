"""The loss of one model over a dataset."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from graphmerge.checkpoint import load_model
from graphmerge.device import resolve_device
from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch, listed_once, to_device
from graphmerge.evaluate.formulas import Score
from graphmerge.evaluate.loss import DefaultLoss, Loss, as_score
from graphmerge.evaluate.metrics import named_metrics, tallies, values

Progress = Callable[[int, int], None]  # batches done, batches in all


@dataclass(frozen=True)
class Evaluation:
    """Mean loss over ``positions`` counted positions (tokens, examples, labels: see ``unit``), and the time it took.

    ``metrics`` are those that were asked for, by name.

    >>> float(Evaluation(loss=2.5, positions=1000, seconds=0.1))
    2.5
    """

    loss: float
    positions: int
    seconds: float
    unit: str = "loss"
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __float__(self) -> float:
        return self.loss


def evaluate(
    model: nn.Module | str | Path,
    data: Iterable[Batch],
    loss: Loss | None = None,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
    metrics: str | Sequence[str] = (),
) -> Evaluation:
    """The mean loss of a model over all positions of a dataset, in eval mode and without gradients.

    By default the loss that the model itself reports (cross-entropy of the next token, of masked tokens, of classes;
    squared error; binary cross-entropy), but summed over positions and divided by their number in the whole dataset.
    Positions with label -100 or attention mask 0 are not counted. A causal language model needs no labels in its
    batches: its ids are its labels.

    The model is left as it was: its training mode is put back, and if it is on another device a copy is moved.

    Args:
        data: batches, each a dict for ``model(**batch)`` or a tuple for ``model(*batch)``.
        loss: a function of ``(model, batch)`` that returns ``(sum, count)``, or the mean over the batch (whose weight
            is then the number of its labels that are not -100; without labels, of its rows), or, for metrics of what
            it compares, ``(sum, count, logits, labels)``. Its attribute ``unit`` says what it is measured in.
        device: ``auto`` is CUDA where there is one.
        progress: called with (batches done, batches in all).
        metrics: names of what to measure beside the loss, of the whole dataset (`metrics.METRICS`; ``glue:mrpc`` stands
            for those of that task).

    Raises:
        InputError: no batches, nothing to count, no loss for this model, a loss that is no finite number, or metrics
            that are unknown or do not fit this model and its labels.
    """
    batches = listed_once(data)
    wanted = named_metrics(metrics)
    module = model if isinstance(model, nn.Module) else load_model(model).model
    target = resolve_device(device)
    with ready(module, target) as placed:
        return measure(placed, batches, loss or DefaultLoss(), target, progress or _quiet, wanted)


def measure(
    model: nn.Module,
    batches: list[Batch],
    loss: Loss,
    device: torch.device,
    progress: Progress,
    metrics: Sequence[str] = (),
) -> Evaluation:
    """`evaluate` for a model that is on its device and in eval mode.

    Raises:
        InputError: nothing to count, a loss that is no finite number, or metrics that do not fit.
    """
    start = time.perf_counter()
    scores, collected = [], tallies(metrics)
    with torch.no_grad():
        for done, batch in enumerate(batches, start=1):
            batch = to_device(batch, device)
            score = as_score(loss(model, batch), batch)
            if isinstance(score.positions, torch.Tensor) or score.positions:  # else there was no label
                for tally in collected.values():
                    tally.add(score)
            scores.append(Score(score.total, score.positions))  # logits are not kept
            progress(done, len(batches))
    # read only now, so that the device is never waited for between two batches
    positions = sum(int(score.positions) for score in scores)
    if not positions:
        raise InputError("no position counts: every label is -100 or masked")
    mean = math.fsum(float(score.total) for score in scores) / positions
    if not math.isfinite(mean):
        raise InputError(f"the loss is {mean}; check the weights, the labels and, in half precision, the range")
    unit = getattr(loss, "unit", "loss")
    found = values(metrics, collected, mean, unit, model)
    return Evaluation(mean, positions, time.perf_counter() - start, unit, found)


@contextmanager
def ready(model: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """The model in eval mode on the device: itself, its training modes put back afterwards, or a copy."""
    if any(t.device != device for t in (*model.parameters(), *model.buffers())):
        yield copy.deepcopy(model).to(device).eval()
        return
    modes = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, training in modes.items():
            module.training = training


def _quiet(done: int, total: int) -> None:
    """Progress that nobody asked for."""
