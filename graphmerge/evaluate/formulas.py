"""Losses of logits against labels, as a sum and a count, so that datasets are averaged over positions, not batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from graphmerge.evaluate.batches import IGNORED


@dataclass(frozen=True)
class Score:
    """The summed loss of a batch and the number of positions it is summed over; tensors may stay on their device.

    ``logits`` and ``labels`` are what was compared, for metrics: (n, classes) with (n), -100 where a position does not
    count, or n numbers with n numbers.
    """

    total: torch.Tensor | float
    positions: torch.Tensor | int
    logits: torch.Tensor | None = None
    labels: torch.Tensor | None = None


@dataclass(frozen=True)
class Formula:
    """A loss of (logits, labels), and what its mean is measured in."""

    score: Callable[[torch.Tensor, torch.Tensor], Score]
    unit: str


def next_token(logits: torch.Tensor, labels: torch.Tensor) -> Score:
    """Cross-entropy with the label one position further; logits (batch, tokens, vocabulary), labels (batch, tokens)."""
    return each_position(logits[:, :-1], labels[:, 1:])


def each_position(logits: torch.Tensor, labels: torch.Tensor) -> Score:
    """Cross-entropy; logits (..., classes), labels (...), of which -100 is not counted."""
    guesses, flat = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)  # (positions, classes), (positions,)
    total = functional.cross_entropy(guesses.float(), flat, ignore_index=IGNORED, reduction="sum")
    return Score(total, (flat != IGNORED).sum(), guesses, flat)


def squared_error(logits: torch.Tensor, labels: torch.Tensor) -> Score:
    """Squared error of a regression; logits and labels have the same number of entries."""
    guesses, flat = logits.reshape(-1), labels.reshape(-1).float()
    total = functional.mse_loss(guesses.float(), flat, reduction="sum")
    return Score(total, labels.numel(), guesses, flat)


def each_label(logits: torch.Tensor, labels: torch.Tensor) -> Score:
    """Binary cross-entropy of every label on its own; logits and labels (batch, labels)."""
    total = functional.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")
    return Score(total, labels.numel())


NEXT_TOKEN = Formula(next_token, "nats per token")
EACH_POSITION = Formula(each_position, "nats per position")
EACH_EXAMPLE = Formula(each_position, "nats per example")
EACH_LABEL = Formula(each_label, "nats per label")
SQUARED_ERROR = Formula(squared_error, "squared error")


def candidates(model: nn.Module, logits: torch.Tensor, labels: torch.Tensor) -> list[Formula]:
    """The formulas that the shapes allow, the likeliest first."""
    if labels.is_floating_point() or logits.shape[-1] == 1:
        regression = [SQUARED_ERROR] if labels.numel() == logits.numel() else []
        return [*regression, EACH_LABEL] if labels.shape == logits.shape else regression
    if labels.shape != logits.shape[:-1]:
        return []
    if labels.dim() == 2:
        return [NEXT_TOKEN, EACH_POSITION] if is_causal(model) else [EACH_POSITION, NEXT_TOKEN]
    return [EACH_EXAMPLE if labels.dim() == 1 else EACH_POSITION]


def is_causal(model: nn.Module) -> bool:
    """Whether the class, or one that it derives from, is one of transformers' causal language models."""
    return any(base.__name__ in _CAUSAL for base in type(model).__mro__)


def _names(values: Iterable[str | tuple[str, ...]]) -> set[str]:
    return {name for value in values for name in ([value] if isinstance(value, str) else value)}


_CAUSAL = _names(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
