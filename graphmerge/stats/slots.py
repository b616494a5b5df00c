"""Slots: the places in a block where groups act, one for each joint index of factors."""

from __future__ import annotations

from dataclasses import dataclass

from graphmerge.symmetry import Block, Symmetry


@dataclass(frozen=True)
class Slot:
    """One place of a group, or of a pinned leaf that groups are over; ``over``: the slots of its bases."""

    group: str
    over: tuple[int, ...] = ()


def slots_of(block: Block, symmetry: Symmetry) -> tuple[tuple[Slot, ...], list[tuple[int, ...]]]:
    """The slots of a block, and the factors that each stands for: one a move, one a pinned leaf that moves are over."""
    dims = [move.dims for move in block.moves]
    names = [move.group for move in block.moves]
    for move in block.moves:
        for base, dim in zip(symmetry[move.group].over, move.over):
            if not any(dim in own for own in dims):
                dims.append((dim,))
                names.append(base)
    over = [tuple(next(s for s, own in enumerate(dims) if d in own) for d in move.over) for move in block.moves]
    over += [()] * (len(dims) - len(over))
    return tuple(Slot(name, o) for name, o in zip(names, over)), dims
