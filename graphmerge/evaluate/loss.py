"""Which loss a model is measured by.

The formula that belongs to a model is not looked up but measured: the one that gives, on the first batch, the loss that
the model itself reports. So no list says which decoders shift their labels and which do not.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from graphmerge.errors import InputError
from graphmerge.evaluate.batches import IGNORED, Batch, run, weight
from graphmerge.evaluate.formulas import Formula, Score, candidates, is_causal

Loss = Callable[[nn.Module, Batch], Any]


class DefaultLoss:
    """The loss that a model reports, as a sum over positions; ``(model, batch) -> Score``.

    The formula is chosen at the first batch that has labels to count, and kept. If none gives the model's own loss,
    that is used: the mean over a batch, weighted by its labels that are not -100 (or its rows).

    ``unit`` says what the loss is measured in, once a batch has been seen.
    """

    def __init__(self) -> None:
        self.unit = "loss"
        self._chosen = False
        self._formula: Formula | None = None
        self._with_labels = True

    def __call__(self, model: nn.Module, batch: Batch) -> Score:
        if not isinstance(batch, Mapping):
            return _own(model, batch)
        if "labels" not in batch and "input_ids" in batch and is_causal(model):
            batch = {**batch, "labels": batch["input_ids"]}
        labels = batch.get("labels")
        if not isinstance(labels, torch.Tensor):
            return _own(model, batch)
        output = None
        if not self._chosen:
            if not bool((labels != IGNORED).any()):
                return Score(0.0, 0)
            output = self._choose(model, batch, labels)
            self._chosen = True
        if self._formula is None:
            return _own(model, batch)
        if output is None:
            output = run(model, batch if self._with_labels else _without_labels(batch))
        logits = _read(output, "logits")
        if logits is None:
            raise InputError(f"{type(model).__name__} returns logits for some batches only; give loss=")
        return self._formula.score(logits, _counted(model, batch, labels))

    def _choose(self, model: nn.Module, batch: Mapping[str, Any], labels: torch.Tensor) -> Any:
        """Compare the formulas with the model's own loss, and see whether the logits need the labels as an input.

        Returns the output, whose logits are the same with labels and without where that has not made a difference.
        """
        _check_takes_labels(model)
        output = run(model, batch)
        own, logits = _read(output, "loss"), _read(output, "logits")
        if own is None or logits is None:
            return output
        # the model's own loss may have been rounded to half precision
        tolerance = 1e-4 if own.dtype in (torch.float32, torch.float64) else 1e-2
        for formula in candidates(model, logits, labels):
            score = formula.score(logits, labels)
            count = int(score.positions)
            if count and math.isclose(float(score.total) / count, float(own), rel_tol=tolerance, abs_tol=1e-6):
                self._formula, self.unit = formula, formula.unit
                self._with_labels = _needs_labels(model, batch, logits)
                break
        return output


def as_score(result: Any, batch: Batch) -> Score:
    """What a loss function returned: ``(sum, count)``, or ``(sum, count, logits, labels)``, which metrics need, or the
    mean over the batch, which weighs as its labels do.

    Raises:
        InputError: it is neither.
    """
    if isinstance(result, Score):
        return result
    if isinstance(result, tuple) and len(result) in (2, 4):
        return Score(*result)
    if isinstance(result, int | float) or (isinstance(result, torch.Tensor) and result.numel() == 1):
        count = weight(batch)
        return Score(result * count if count else 0.0, count)
    what = f"a tensor of shape {tuple(result.shape)}" if isinstance(result, torch.Tensor) else type(result).__name__
    raise InputError(f"the loss function returned {what}; expected a scalar, the mean over the batch, or (sum, count)")


def _own(model: nn.Module, batch: Batch) -> Score:
    """The loss in the model's output."""
    if isinstance(batch, Mapping) and "labels" in batch:
        _check_takes_labels(model)
    output = run(model, batch)
    own, logits = _read(output, "loss"), _read(output, "logits")
    if own is None:
        raise InputError(
            f"{type(model).__name__} reports no loss for these batches (its output has no .loss); "
            "put labels into the batches, or give loss=, a function of (model, batch) (--loss file.py:function)"
        )
    score, labels = as_score(own.float(), batch), batch.get("labels") if isinstance(batch, Mapping) else None
    if logits is None or not isinstance(labels, torch.Tensor) or (labels.dim(), logits.dim()) != (1, 2):
        return score  # labels of tokens may be those of the next ones
    return Score(score.total, score.positions, logits, labels)


def _read(output: Any, field: str) -> torch.Tensor | None:
    """A field of a model's output, be it an object or a dict; None if it has no such tensor."""
    value = output.get(field) if isinstance(output, Mapping) else getattr(output, field, None)
    return value if isinstance(value, torch.Tensor) else None


def _check_takes_labels(model: nn.Module) -> None:
    parameters = inspect.signature(model.forward).parameters.values()
    if not any(p.name == "labels" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise InputError(
            f"{type(model).__name__} takes no labels, so it has no loss; give loss=, a function of (model, batch) "
            "(--loss file.py:function)"
        )


def _needs_labels(model: nn.Module, batch: Mapping[str, Any], logits: torch.Tensor) -> bool:
    """Whether the logits are others without labels: an encoder-decoder may make its decoder's inputs of them."""
    try:
        alone = _read(run(model, _without_labels(batch)), "logits")
    except Exception:  # whatever a model raises that was given too little
        return True
    return alone is None or not torch.equal(alone, logits)


def _without_labels(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in batch.items() if key != "labels"}


def _counted(model: nn.Module, batch: Mapping[str, Any], labels: torch.Tensor) -> torch.Tensor:
    """The labels, with -100 where the attention mask has 0."""
    decoder = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    mask = batch.get("decoder_attention_mask" if decoder else "attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.shape != labels.shape or labels.is_floating_point():
        return labels
    return labels.masked_fill(mask == 0, IGNORED)
