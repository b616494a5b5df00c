"""The axes that each group moves, read off the layout: members and layout say the same thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from graphmerge.symmetry.blocks import Axis, Block, Part


def members_of(layout: Mapping[str, Sequence[Block]]) -> dict[str, tuple[Axis, ...]]:
    """For every group, the axes that it moves in model order; groups by their first axis."""
    found: dict[str, dict[Axis, None]] = {}
    for key, blocks in layout.items():
        for block in blocks:
            for move in block.moves:
                found.setdefault(move.group, {}).update(dict.fromkeys(axes_of(key, block, move.dims)))
    return {group: tuple(axes) for group, axes in found.items()}


def axes_of(tensor: str, block: Block, dims: Sequence[int]) -> Iterator[Axis]:
    """The axes that the factors ``dims`` of a block stand on: one, or more for a group of pairs."""
    by_axis: dict[int, list[int]] = {}
    for dim in dims:
        by_axis.setdefault(block.axis_of(dim), []).append(block.factor_of(dim))
    for axis, factors in by_axis.items():
        yield Axis(tensor, axis, Part(block.runs[axis], tuple(factors)))
