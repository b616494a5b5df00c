"""Taps: which activations are the features of which groups.

A contraction that consumes a group reads its units in the layout of the parameter's axis: its input is a tap. A group
that no contraction consumes (queries and keys meet each other only) is read where it is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from graphmerge.evaluate.batches import Batch, run
from graphmerge.stats.slots import Slot, slots_of
from graphmerge.stats.watch import INPUT, Reading, Site, Units, place_of, watched
from graphmerge.symmetry import Block, Move, Run, Symmetry

Taken = Callable[[torch.Tensor], torch.Tensor | None]


@dataclass(frozen=True, eq=False)
class Tap:
    """How the units of some groups are read at a site: ``slots`` over the joint index ``sizes``.

    ``dims[k]``: a dimension of the activation and the positions to take there; together laid out as ``factors``.
    ``order``: the factors that belong to no slot (they are samples), then those of every slot.
    """

    site: Site
    slots: tuple[Slot, ...]
    sizes: tuple[int, ...]
    dims: tuple[tuple[int, np.ndarray], ...]
    factors: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def groups(self) -> set[str]:
        """The groups whose units the tap reads."""
        return {slot.group for slot in self.slots}

    def features(self, tensor: torch.Tensor, taken: Taken = lambda x: x) -> torch.Tensor | None:
        """(samples, joint units) of an activation, in float32 or wider; ``taken`` makes samples of what stands there.

        None if ``taken`` gives none.
        """
        last = range(-len(self.dims), 0)
        x = tensor.movedim([dim for dim, _ in self.dims], list(last))  # (samples ..., units of each dimension ...)
        x = taken(x.reshape(-1, *x.shape[last[0] :]))
        if x is None:
            return None
        for k, (_, positions) in enumerate(self.dims, start=1):
            if len(positions) != x.shape[k] or (positions != np.arange(len(positions))).any():
                x = x.index_select(k, torch.from_numpy(positions).to(x.device))
        x = x.reshape(len(x), *self.factors).permute(0, *(1 + f for f in self.order))
        return x.reshape(-1, math.prod(self.sizes)).to(torch.promote_types(x.dtype, torch.float32))


def find_taps(
    model: nn.Module, batch: Batch, symmetry: Symmetry, groups: Iterable[str], written: Iterable[str] = ()
) -> list[Tap]:
    """The taps of ``groups`` in a forward pass of ``batch``, in its order; an activation that is read twice is one tap.

    Those of the groups ``written`` are read where they are written even if something consumes them.
    """
    groups, written = set(groups), set(written)
    found: dict[Any, Tap] = {}
    seen: list[StorageWeakRef] = []  # so that no storage is taken for one that was freed

    def read(reading: Reading) -> None:
        for block in symmetry.layout[reading.site.key]:
            tap = tap_of(reading, block, symmetry)
            if tap and groups & tap.groups:
                x = reading.tensor
                seen.append(StorageWeakRef(x.untyped_storage()))
                key = place_of(x), x._version, tap.slots, *(positions.tobytes() for _, positions in tap.dims)
                found.setdefault(key, tap)

    with watched(model, symmetry.layout, read):
        run(model, batch)
    consumed = {group for tap in found.values() if tap.site.side == INPUT for group in tap.groups}
    return [t for t in found.values() if t.site.side == INPUT or groups & t.groups - (consumed - written)]


def tap_of(reading: Reading, block: Block, symmetry: Symmetry) -> Tap | None:
    """The part of a block that an activation is laid out as; None if no group acts there, or not all of it is read."""
    axes = [axis for units in reading.dims.values() for axis in units]
    for axis, run_ in enumerate(block.runs):
        if not np.isin(run_.units(), reading.covered[axis]).all():
            return None
    factors = [d for axis in axes for d in range(len(block.sizes)) if block.axis_of(d) == axis]
    moves = tuple(
        Move(move.group, tuple(map(factors.index, move.dims)), tuple(map(factors.index, move.over)))
        for move in block.moves
        if {*move.dims, *move.over} <= set(factors)
    )
    if not moves:
        return None
    part = Block(tuple(block.runs[axis] for axis in axes), moves)
    slots, own = slots_of(part, symmetry)
    kept = [d for dims in own for d in dims]
    return Tap(
        site=reading.site,
        slots=slots,
        sizes=tuple(math.prod(part.sizes[d] for d in dims) for dims in own),
        dims=tuple((dim, _positions(units, block.runs)) for dim, units in reading.dims.items()),
        factors=part.sizes,
        order=(*(d for d in range(len(factors)) if d not in kept), *kept),
    )


def _positions(units: Units, runs: tuple[Run, ...]) -> np.ndarray:
    """Where the units of the runs stand along a dimension that is laid out as ``units``."""
    standing = np.zeros([int(where.max()) + 1 for where in units.values()], dtype=np.int64)
    standing[tuple(units.values())] = np.arange(len(next(iter(units.values()))))
    return standing[np.ix_(*(runs[axis].units().reshape(-1) for axis in units))].reshape(-1)
