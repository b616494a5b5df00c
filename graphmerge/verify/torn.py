"""A group moved in one row of a tensor only: the break for groups that act on a single axis.

Learned latents, or learned keys beside those of the tokens, may stand in any order: their group has one axis, which
nothing ties to another. Leaving that axis out leaves nothing. But all that is said of one unit must move with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphmerge.symmetry import Block, Move, Run, Symmetry

ROWS_TRIED = 2  # factors of a block of which one unit is taken


def torn(symmetry: Symmetry, group: str, tensors: list[str]) -> Iterator[Symmetry]:
    """The symmetry in which ``group`` moves one row of a block of these tensors (names of one tensor), not the rest."""
    blocks = symmetry.layout[tensors[0]]
    for block in blocks:
        for move in (m for m in block.moves if m.group == group):
            for dim in _other_dims(block, move)[:ROWS_TRIED]:
                row = replace(block, runs=_first_row(block, dim), moves=(move,))
                yield replace(symmetry, layout=dict(symmetry.layout) | dict.fromkeys(tensors, (row,)))


def _other_dims(block: Block, move: Move) -> list[int]:
    """Factors that neither the group moves nor choose its permutation: all their units move alike."""
    sizes = block.sizes
    return [d for d in range(len(sizes)) if sizes[d] > 1 and d not in (*move.dims, *move.over)]


def _first_row(block: Block, dim: int) -> tuple[Run, ...]:
    """The block's runs with one unit of a factor left."""
    axis, factor = block.axis_of(dim), block.factor_of(dim)
    run = block.runs[axis]
    sizes = (*run.sizes[:factor], 1, *run.sizes[factor + 1 :])
    return (*block.runs[:axis], replace(run, sizes=sizes), *block.runs[axis + 1 :])
