"""Symmetries that are wrong on purpose: one axis of a group does something else than the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from graphmerge.symmetry import Axis, Block, Move, Symmetry
from graphmerge.verify.trial import Trial

AXES_TRIED = 4  # of the largest, and of the smallest


def axes_by_size(trial: Trial, group: str) -> list[tuple[Axis, list[str]]]:
    """The axes of a group, one for each tensor and the largest tensors first, each with all keys of its tensor."""
    symmetry, keys = trial.symmetry, trial.keys
    axes = {(keys[axis.tensor], axis.axis, axis.part): axis for axis in symmetry[group].members}
    by_size = sorted(axes.values(), key=lambda axis: -math.prod(symmetry.shapes[axis.tensor]))
    return [(axis, trial.aliases(axis.tensor)) for axis in by_size]


def without(symmetry: Symmetry, group: str, axis: Axis, tensors: Iterable[str]) -> Symmetry:
    """The same symmetry, except that ``group`` no longer moves one axis of these tensors: one tie broken."""
    return edited(symmetry, group, axis, tensors, lambda _: None)


def edited(
    symmetry: Symmetry, group: str, axis: Axis, tensors: Iterable[str], edit: Callable[[Move], Move | None]
) -> Symmetry:
    """The same symmetry, except that ``edit`` replaces (or drops) how ``group`` moves one axis of these tensors."""

    def meant(block: Block, move: Move) -> bool:
        return move.group == group and any(
            block.axis_of(dim) == axis.axis and block.runs[axis.axis] == axis.part.run for dim in move.dims
        )

    layout = dict(symmetry.layout)
    for key in tensors:
        blocks = []
        for block in layout.get(key, ()):
            moves = (edit(move) if meant(block, move) else move for move in block.moves)
            blocks.append(replace(block, moves=tuple(move for move in moves if move is not None)))
        layout[key] = tuple(blocks)
    return replace(symmetry, layout=layout)
