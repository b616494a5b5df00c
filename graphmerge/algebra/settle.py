"""Parts of parameters that no op reads."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphmerge.algebra.leaves import Box, Leaves


def settle_unread(leaves: Leaves) -> None:
    """Units that no op reads stay put; the other axes of such a box move with a box that differs in one axis."""
    by_tensor: dict[str, list[Box]] = {}
    for box in leaves.boxes:
        if leaves.system.tensors[box.tensor].kind in ("parameter", "buffer"):
            by_tensor.setdefault(box.tensor, []).append(box)
    for boxes in by_tensor.values():
        known = deque(b for b in boxes if b.touched)
        unread = [b for b in boxes if not b.touched]
        while known:
            near = known.popleft()
            for box in [b for b in unread if sum(x != y for x, y in zip(b.choices, near.choices)) == 1]:
                _follow(leaves, box, near)
                unread.remove(box)
                known.append(box)
        for box in unread:
            for occurrence in range(box.first, box.first + len(box.sizes)):
                leaves.pins.setdefault(occurrence, ("unread: no op reads this part", None))


def _follow(leaves: Leaves, box: Box, near: Box) -> None:
    odd = next(a for a, (x, y) in enumerate(zip(box.choices, near.choices)) if x != y)
    there = {(a, k): near.first + d for d, (a, k) in enumerate(_numbered(near.axes))}
    for dim, (axis, k) in enumerate(_numbered(box.axes)):
        if axis == odd:
            leaves.pins.setdefault(box.first + dim, ("unread: no op reads this part", None))
        else:
            leaves.union(box.first + dim, there[axis, k])


def _numbered(axes: tuple[int, ...]) -> list[tuple[int, int]]:
    """(axis, which factor of it) for each occurrence of a box."""
    return [(axis, axes[:dim].count(axis)) for dim, axis in enumerate(axes)]
