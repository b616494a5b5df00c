"""Batches: dicts for ``model(**batch)`` or tuples for ``model(*batch)``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from graphmerge.errors import InputError

Batch = Mapping[str, Any] | tuple[Any, ...] | list[Any]
IGNORED = -100  # labels of positions that do not count


def listed_once(data: Iterable[Batch]) -> list[Batch]:
    """All batches, drawn once, so that every model sees the same ones with the same masks.

    Raises:
        InputError: there are none, or ``data`` is no series of batches.
    """
    if isinstance(data, Mapping | torch.Tensor) or not isinstance(data, Iterable):
        raise InputError(
            f"data is a {type(data).__name__}; expected a list or loader of batches (for one batch: [batch])"
        )
    batches = list(data)
    if not batches:
        raise InputError("data holds no batch; is it a generator that has been used up?")
    for batch in batches:
        if not isinstance(batch, Mapping | tuple | list):
            raise InputError(
                f"a batch is a {type(batch).__name__}; expected a dict for model(**batch) or a tuple for model(*batch)"
            )
    return batches


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on the device; a dict or a tuple."""
    if isinstance(batch, Mapping):
        return {key: _moved(value, device) for key, value in batch.items()}
    return tuple(_moved(value, device) for value in batch)


def run(model: nn.Module, batch: Batch) -> Any:
    """The model's output for a batch.

    Raises:
        InputError: the model does not take it: ids or labels out of range, too many positions, other names or shapes.
    """
    try:
        return model(**batch) if isinstance(batch, Mapping) else model(*batch)
    except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise InputError(
            f"{type(model).__name__} cannot run a batch of {_described(batch)}: {type(error).__name__}: {reason}"
        ) from error


def _described(batch: Batch) -> str:
    """Names, sizes and, of integers, ranges, which are what is usually wrong.

    >>> _described({"input_ids": torch.tensor([[1, 9]])})
    'input_ids (1×2, 1 to 9)'
    """
    named = batch.items() if isinstance(batch, Mapping) else ((f"argument {n}", v) for n, v in enumerate(batch))
    return ", ".join(f"{name} ({_measures(value)})" for name, value in named) or "nothing"


def _measures(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    size = "×".join(map(str, value.shape)) or "one number"
    whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
    return f"{size}, {int(value.min())} to {int(value.max())}" if whole and value.numel() else size


def weight(batch: Batch) -> int:
    """How much a mean over the batch counts beside others: its labels that are not -100, else its rows."""
    if isinstance(batch, Mapping):
        labels = batch.get("labels")
        if isinstance(labels, torch.Tensor):
            return int((labels != IGNORED).sum())
    values = batch.values() if isinstance(batch, Mapping) else batch
    return next((len(v) for v in values if isinstance(v, torch.Tensor) and v.dim()), 1)


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
