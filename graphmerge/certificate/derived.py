"""A derived symmetry as permutations of the entries of parameters, to be held against counted ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from graphmerge.symmetry import Permutations, Symmetry


@dataclass(frozen=True)
class Factor:
    """One of the symmetric groups that a symmetry is made of: a group at one joint unit of its bases.

    ``moves`` are swaps of neighbouring units, which generate it: where each takes the entries that it moves.
    """

    group: str
    log_order: float
    moves: tuple[Mapping[int, int], ...]


def factors(symmetry: Symmetry, tensors: Mapping[str, torch.Tensor]) -> Iterator[Factor]:
    """Every factor of a symmetry; ``tensors`` has numbers of entries in the shape of each tensor.

    Buffers that are no symbols in the count (tables of zeros, so far) have no entries there.
    """
    shapes = dict(symmetry.shapes) | {key: tuple(ids.shape) for key, ids in tensors.items()}
    layout = {key: blocks for key, blocks in symmetry.fit(shapes).layout.items() if key in tensors}
    for group in symmetry.groups:
        moved = [key for key, blocks in layout.items() if any(m.group == group.name for b in blocks for m in b.moves)]
        shape = symmetry.shape(group.name)
        for copy in np.ndindex(shape[:-1]):
            moves: list[Mapping[int, int]] = []
            for unit in range(group.size - 1):
                array = np.array(np.broadcast_to(np.arange(group.size), shape))
                array[copy][[unit, unit + 1]] = unit + 1, unit
                element = Permutations(symmetry, {group.name: array})
                move: dict[int, int] = {}
                for key in moved:
                    came_from = element.move_tensor(tensors[key], layout[key])
                    moving = came_from != tensors[key]
                    move |= zip(came_from[moving].tolist(), tensors[key][moving].tolist())
                moves.append(move)
            yield Factor(group.name, math.lgamma(group.size + 1), tuple(moves))
