"""Where a group is read, one place after the other, and which axes belong to each place.

A place is an activation that contractions consume: the output of a norm, as a rule. To it belong the axes that read it,
and those of all that is written or scaled since the last place: embeddings, projections back to the residual, norms.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

from graphmerge.evaluate.batches import Batch, run
from graphmerge.stats.taps import tap_of
from graphmerge.stats.watch import INPUT, Reading, Watch, place_of, unfused
from graphmerge.symmetry import Symmetry

Axis = tuple[str, int]  # a tensor and one of its axes


def reading_places(model: nn.Module, batch: Batch, symmetry: Symmetry, group: str) -> dict[Axis, int]:
    """The number of its place for every axis that ``group`` moves, in a forward pass of ``batch``.

    A tensor that is used at several places makes one of them, and so do tensors that share storage. What is written
    after the last place belongs to that, and so does what the pass does not use.
    """
    seen = _Uses(model, symmetry, group)
    with unfused(), seen:
        run(model, batch)
    last = max(len(seen.places) - 1, 0)
    return _numbered({place: {min(n, last) for n in seen.numbers(place) or {last}} for place in _axes(symmetry, group)})


class _Uses(Watch):
    """Notes, in the order of the pass, the places of a group, and the number of the next one whenever a parameter is
    used: in a contraction (``written``), or otherwise."""

    def __init__(self, model: nn.Module, symmetry: Symmetry, group: str) -> None:
        super().__init__(model, symmetry.layout, self._noted)
        self.symmetry, self.group = symmetry, group
        self.state = {key: tensor.untyped_storage()._cdata for key, tensor in model.state_dict().items()}
        self.places: dict[Any, int] = {}
        self.kept: list[StorageWeakRef] = []  # so that no storage is taken for one that was freed
        self.reading: dict[Axis, set[int]] = defaultdict(set)
        self.written: dict[str, set[int]] = defaultdict(set)
        self.used: dict[str, set[int]] = defaultdict(set)
        self.contracted: set[str] = set()  # by the op that runs

    def numbers(self, place: Axis) -> set[int]:
        """The numbers of the places that an axis belongs to."""
        key, axis = place
        key = self.parameters.get(self.state[key], (key, None))[0]  # of keys that share storage the one that is watched
        read = self.reading[key, axis]
        return read | self.used[key] | (set() if read else self.written[key])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.contracted.clear()
        out = super().__torch_dispatch__(func, types, args, kwargs)
        views = {x.untyped_storage()._cdata for x in tree_leaves(out) if isinstance(x, torch.Tensor)}
        for x in tree_leaves((args, kwargs)):
            if isinstance(x, torch.Tensor) and (storage := x.untyped_storage()._cdata) not in views:
                key, _ = self.parameters.get(storage, ("", None))
                if key and key not in self.contracted:
                    self.used[key].add(len(self.places))
        return out

    def _noted(self, reading: Reading) -> None:
        """An input gives a place its number; what is written comes after it."""
        key = reading.site.key
        self.contracted.add(key)
        if reading.site.side != INPUT:
            self.written[key].add(len(self.places))
            return
        for block in self.symmetry.layout[key]:
            tap = tap_of(reading, block, self.symmetry)
            if tap is None or self.group not in tap.groups:
                continue
            x = reading.tensor
            self.kept.append(StorageWeakRef(x.untyped_storage()))
            number = self.places.setdefault((place_of(x), x._version), len(self.places))
            for axis in {axis for units in reading.dims.values() for axis in units}:
                self.reading[key, axis].add(number)


def _axes(symmetry: Symmetry, group: str) -> list[Axis]:
    moving = (
        (key, block.axis_of(move.dims[0]))
        for key, blocks in symmetry.layout.items()
        for block in blocks
        for move in block.moves
        if move.group == group
    )
    return list(dict.fromkeys(moving))


def _numbered(found: dict[Axis, set[int]]) -> dict[Axis, int]:
    """One number for each axis; those that stand in one set are one place."""
    parts: list[set[int]] = []
    for numbers in found.values():
        touching = [part for part in parts if part & numbers]
        parts = [part for part in parts if not part & numbers] + [numbers.union(*touching)]
    parts.sort(key=min)
    return {axis: next(k for k, part in enumerate(parts) if part & numbers) for axis, numbers in found.items()}
