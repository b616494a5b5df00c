"""The entries of a tensor on which two symmetries act, in as few numbers as tell their elements apart.

Most often a symmetry acts on each axis of a tensor alone: on rows whatever the column. Then the axes are looked at one
by one, and a matrix of a million entries is two lists of a thousand. Where the action on one axis depends on the place
on another (experts, projections of two streams in one matrix), those axes, or all of them, are taken together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphmerge.symmetry import Block, Move, Run

Blocks = tuple[Block, ...]


@dataclass(frozen=True)
class Cells:
    """Some axes of one tensor, with the blocks of two symmetries on them; ``shape`` is that of these axes."""

    tensor: str
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    blocks: tuple[Blocks, Blocks]


def cells_of(tensor: str, shape: Sequence[int], one: Blocks, other: Blocks) -> Iterator[Cells]:
    """The axes on which something moves, apart where both symmetries act on them apart."""
    apart = _apart(len(shape), (*one, *other))
    if all(_is_product(blocks, apart, shape) for blocks in (one, other)):
        for axes in apart:
            restricted = tuple(tuple(dict.fromkeys(_restricted(b, axes) for b in blocks)) for blocks in (one, other))
            if any(block.moves for blocks in restricted for block in blocks):
                yield Cells(tensor, axes, tuple(shape[a] for a in axes), (restricted[0], restricted[1]))
    elif any(block.moves for block in (*one, *other)):
        yield _together(tensor, shape, one, other)


def _apart(count: int, blocks: Sequence[Block]) -> list[tuple[int, ...]]:
    """The axes of a tensor, together where one move has factors on several of them."""
    home = list(range(count))
    for block in blocks:
        for move in block.moves:
            first, *rest = sorted({home[block.axis_of(dim)] for dim in (*move.dims, *move.over)})
            home = [first if h in rest else h for h in home]
    return [tuple(a for a in range(count) if home[a] == h) for h in sorted(set(home))]


def _is_product(blocks: Blocks, apart: Sequence[tuple[int, ...]], shape: Sequence[int]) -> bool:
    """Does what happens on each set of axes depend on nothing else?"""
    if not blocks:
        return True
    count = 1
    for axes in apart:
        moves: dict[tuple[Run, ...], tuple[Move, ...]] = {}
        for block in blocks:
            part = _restricted(block, axes)
            if moves.setdefault(part.runs, part.moves) != part.moves:
                return False
        covered = sum(math.prod(run.length for run in runs) for runs in moves)
        if covered != math.prod(shape[a] for a in axes):
            return False  # units in no block do not move along any axis
        count *= len(moves)
    return count == len(blocks)


def _restricted(block: Block, axes: Sequence[int]) -> Block:
    """A block on some of its axes, with the moves there."""
    dims = [d for d in range(sum(len(run.sizes) for run in block.runs)) if block.axis_of(d) in axes]
    place = {dim: k for k, dim in enumerate(dims)}
    moves = tuple(
        Move(move.group, tuple(place[d] for d in move.dims), tuple(place[d] for d in move.over))
        for move in block.moves
        if move.dims[0] in place
    )
    return Block(tuple(block.runs[a] for a in axes), moves)


def _together(tensor: str, shape: Sequence[int], one: Blocks, other: Blocks) -> Cells:
    """All axes at once; of units that no block moves or tells apart, one stands for all."""
    every = (*one, *other)
    still = set(range(len(shape))) - {b.axis_of(d) for b in every for m in b.moves for d in (*m.dims, *m.over)}
    blocks = [list(one), list(other)]
    sizes = list(shape)
    for axis in still:
        within = np.zeros((len(every), shape[axis]), dtype=bool)
        for row, block in zip(within, every):
            row[block.runs[axis].units().reshape(-1)] = True
        kinds = np.unique(within, axis=1)  # (blocks, kinds of units)
        sizes[axis] = kinds.shape[1]
        rows = iter(kinds)
        blocks = [
            [_on_one(block, axis, int(unit)) for block in part for unit in np.flatnonzero(next(rows))]
            for part in blocks
        ]
        every = (*blocks[0], *blocks[1])
    return Cells(tensor, tuple(range(len(shape))), tuple(sizes), (tuple(blocks[0]), tuple(blocks[1])))


def _on_one(block: Block, axis: int, unit: int) -> Block:
    """The block with one unit on an axis on which nothing moves."""
    first = sum(len(run.sizes) for run in block.runs[:axis])
    gone = len(block.runs[axis].sizes)

    def place(dims: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(d - gone if d >= first + gone else d for d in dims)

    moves = tuple(Move(m.group, place(m.dims), place(m.over)) for m in block.moves)
    return Block((*block.runs[:axis], Run(unit, (), ()), *block.runs[axis + 1 :]), moves)
