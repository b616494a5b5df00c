"""A share of the rows of some batches, drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch
from graphmerge.stats.positions import row_count


def drawn_share(batches: Sequence[Batch], share: float, seed: int) -> list[Batch]:
    """``share`` of all rows, at least one, drawn without replacement; batches that keep none are left out.

    A row is an index of the first dimension; tensors with one entry there, and what is no tensor, belong to all rows.

    Raises:
        InputError: a batch without rows, or with tensors of several numbers of rows.
    """
    if share == 1:
        return list(batches)
    sizes = [_rows(batch) for batch in batches]
    total = sum(sizes)
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[: max(1, round(share * total))])
    starts = np.cumsum([0, *sizes])
    found = []
    for batch, start, end in zip(batches, starts, starts[1:]):
        own = chosen[(chosen >= start) & (chosen < end)] - start
        if len(own):
            found.append(_of_rows(batch, torch.from_numpy(own), int(end - start)))
    return found


def _rows(batch: Batch) -> int:
    count = row_count(batch)
    values = batch.values() if isinstance(batch, Mapping) else batch
    sizes = {len(v) for v in values if isinstance(v, torch.Tensor) and v.dim()} - {count, 1}
    if count is None or sizes:
        raise InputError(
            "a share of the data is a share of its rows, and a batch has "
            + ("no tensor" if count is None else f"tensors of {count} and of {min(sizes)} rows")
        )
    return count


def _of_rows(batch: Batch, rows: torch.Tensor, count: int) -> Batch:
    def of(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() and len(value) == count:
            return value[rows.to(value.device)]
        return value

    if isinstance(batch, Mapping):
        return {key: of(value) for key, value in batch.items()}
    return tuple(of(value) for value in batch)
