"""Which positions of a batch count, and what one sample is: a position, or something of a whole row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from graphmerge.evaluate.batches import IGNORED, Batch

Level = Literal["token", "cls", "max", "mean"]
MASKS = ("attention_mask", "decoder_attention_mask")
IDS = ("input_ids", "decoder_input_ids")


@dataclass(frozen=True)
class Samples:
    """``level``: every position is a sample (``token``), or every row is one: its first position that counts (``cls``),
    or the largest (``max``) or mean (``mean``) value over those, for each unit.

    Positions of ``excluded`` ids do not count.
    """

    level: Level = "token"
    excluded: tuple[int, ...] = ()

    def taken(self, x: torch.Tensor, samples: tuple[int, ...], batch: Batch) -> torch.Tensor | None:
        """(samples, ...) of (positions, ...), which were flattened from the sizes ``samples``.

        None if ``level`` asks for rows, and they are not to be told apart from positions.
        """
        keep = counted(samples, batch, self.excluded)
        keep = None if keep is None else keep.to(x.device)
        if self.level == "token":
            return x if keep is None else x[keep]
        order = _rows_and_positions(samples, batch)
        if order is None:
            return None
        rows, positions, first = order
        return _pooled(self.level, x, keep, (rows, positions), first)


def _pooled(
    level: Level, x: torch.Tensor, keep: torch.Tensor | None, sizes: tuple[int, int], rows_first: bool
) -> torch.Tensor:
    """One sample a row, and for each index beyond the two; rows without a position that counts are left out."""
    rows, positions = sizes
    outer, units = (rows, positions) if rows_first else (positions, rows), x.shape[1:]
    keep = torch.ones(len(x), dtype=torch.bool, device=x.device) if keep is None else keep
    x, keep = x.reshape(*outer, -1, *units), keep.reshape(*outer, -1)  # (rows, positions, beyond, units ...)
    if not rows_first:
        x, keep = x.transpose(0, 1), keep.transpose(0, 1)
    x, keep = x.transpose(1, 2).flatten(0, 1), keep.transpose(1, 2).flatten(0, 1)  # (samples, positions, units ...)
    some = keep.any(1)
    x, keep = x[some], keep[some]
    if level == "cls":
        return x[torch.arange(len(x), device=x.device), keep.int().argmax(1)]
    wide = keep.reshape(*keep.shape, *(1 for _ in units))
    if level == "max":
        return x.masked_fill(~wide, -math.inf).amax(1)
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return x.masked_fill(~wide, 0).sum(1) / wide.sum(1)


def counted(samples: tuple[int, ...], batch: Batch, excluded: tuple[int, ...] = ()) -> torch.Tensor | None:
    """Which of the samples (flattened) count, by the masks, labels and ids that have their shape; None if none has.

    An encoder and a decoder of one length are told apart by nothing, so a position counts if both masks have it.
    """
    found = None
    for mask in _masks(batch, excluded):
        shape = (int(mask.shape[0]), int(mask.shape[1]))
        way = _way(samples, shape)
        if way is None:
            continue
        keep, rest = mask if way else mask.T, samples[1 if samples[:1] == (math.prod(shape),) else 2 :]
        keep = (keep != 0).reshape(-1).repeat_interleave(math.prod(rest))
        found = keep if found is None else found & keep
    return found


def _way(samples: tuple[int, ...], shape: tuple[int, int]) -> bool | None:
    """Whether samples begin with rows and positions of this shape: rows first (or flattened), last, or not at all."""
    if samples[:1] == (math.prod(shape),) or samples[:2] == shape:
        return True
    return False if samples[:2] == shape[::-1] else None


def _masks(batch: Batch, excluded: tuple[int, ...]) -> Iterator[torch.Tensor]:
    if not isinstance(batch, Mapping):
        return
    found = [batch.get(name) for name in MASKS] + [_labelled(batch)]
    if excluded:
        found += [~torch.isin(ids, torch.tensor(excluded, device=ids.device)) for ids in _two_dimensional(batch, IDS)]
    yield from (mask for mask in found if isinstance(mask, torch.Tensor) and mask.dim() == 2)


def _two_dimensional(batch: Mapping[str, object], names: tuple[str, ...]) -> list[torch.Tensor]:
    return [x for name in names if isinstance(x := batch.get(name), torch.Tensor) and x.dim() == 2]


def _rows_and_positions(samples: tuple[int, ...], batch: Batch) -> tuple[int, int, bool] | None:
    """Sizes of rows and positions at the head of ``samples``, and whether rows come first; None where that is unknown.

    What stands there once a row already (behind a pooler) has one position.
    """
    known = _two_dimensional(batch, (*MASKS, *IDS)) if isinstance(batch, Mapping) else []
    for tensor in known:
        shape = (int(tensor.shape[0]), int(tensor.shape[1]))
        way = _way(samples, shape)
        if way is not None:
            return (*shape, way)
    rows = row_count(batch)
    if rows is not None and samples[:1] == (rows,):
        return rows, (samples[1] if len(samples) > 1 else 1), True
    return None


def row_count(batch: Batch) -> int | None:
    """The first size of the first tensor of a batch; None if it holds none."""
    values = batch.values() if isinstance(batch, Mapping) else batch
    return next((len(v) for v in values if isinstance(v, torch.Tensor) and v.dim()), None)


def _labelled(batch: Mapping[str, object]) -> torch.Tensor | None:
    """Where labels are not -100, if all others are the ids themselves; None if they are not, or there are none."""
    ids, labels = batch.get("input_ids"), batch.get("labels")
    if not isinstance(ids, torch.Tensor) or not isinstance(labels, torch.Tensor) or ids.shape != labels.shape:
        return None
    labelled = labels != IGNORED
    return labelled if bool((ids == labels)[labelled].all()) else None
