"""Two leaves each over the other are one leaf of pairs: a split into heads that nothing uses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphmerge.algebra.solve import Factor, Leaf, SolvedBox


def merge_pairs(leaves: dict[int, Leaf], boxes: dict[str, list[SolvedBox]], merged: dict[int, int]) -> None:
    """Merge until no two free leaves are each over the other.

    Where the two stand side by side on one axis they become one factor. Where they don't (a parameter of shape
    (heads, dim)), the leaf keeps two parts that move jointly; then nothing else may be over it, or the pair is left as
    a group over a group, which is a smaller group and safe.
    """
    refused: set[tuple[int, int]] = set()
    while (pair := _mutual(leaves, refused)) is not None:
        places = [(box, f) for solved in boxes.values() for box in solved for f in box.factors if f.leaf == pair[0]]
        outer, inner = _ordered(*pair, *places[0])
        couples = [(box, *_couple(box, f, pair, outer)) for box, f in places]
        fusable = all(_adjacent(box, a, b) for box, a, b in couples)
        based = any(x in leaf.over for leaf in leaves.values() if leaf.name not in pair for x in pair)
        if not fusable and (based or len(leaves[outer].parts) + len(leaves[inner].parts) > 2):
            refused.add(pair)
            continue
        _merge(leaves, merged, outer, inner, fusable)
        for box, a, b in couples:
            _fuse(box, a, b, outer, fusable)


def _mutual(leaves: dict[int, Leaf], refused: set[tuple[int, int]]) -> tuple[int, int] | None:
    for name, leaf in leaves.items():
        for base in leaf.over:
            other = leaves.get(base)
            if base == name or other is None or leaf.pinned or other.pinned or (name, base) in refused:
                continue
            # a base met twice is ambiguous: leave it
            if name in other.over and leaf.over.count(base) == 1 and other.over.count(name) == 1:
                return name, base
    return None


def _ordered(p: int, q: int, box: SolvedBox, factor: Factor) -> tuple[int, int]:
    """Outer leaf first, as they stand in the first box."""
    other = next(f for f in factor.over if f.leaf == q)
    return (p, q) if box.factors.index(factor) < box.factors.index(other) else (q, p)


def _couple(box: SolvedBox, factor: Factor, pair: tuple[int, int], outer: int) -> tuple[Factor, Factor]:
    other = next(f for f in factor.over if f.leaf == pair[1])
    return (factor, other) if factor.leaf == outer else (other, factor)


def _adjacent(box: SolvedBox, a: Factor, b: Factor) -> bool:
    return box.factors.index(b) == box.factors.index(a) + 1 and a.axis == b.axis and a.stride == b.size * b.stride


def _merge(leaves: dict[int, Leaf], merged: dict[int, int], outer: int, inner: int, fusable: bool) -> None:
    a, b = leaves[outer], leaves.pop(inner)
    merged[inner] = outer
    a.over = tuple(x for x in a.over if x != inner)
    a.size *= b.size
    a.parts = (outer,) if fusable else (outer, inner)
    if not fusable:  # its factors stay where they are, but have no units of their own
        leaves[inner] = replace(b, size=1, over=(), parts=())
    for leaf in leaves.values():
        if inner in leaf.over:  # whatever was over one of the two was over both
            leaf.over = tuple(x for x in leaf.over if x != inner)


def _fuse(box: SolvedBox, a: Factor, b: Factor, outer: int, fusable: bool) -> None:
    a.over = [f for f in a.over if f is not b]
    if fusable:
        a.size, a.stride = a.size * b.size, b.stride
        a.occurrences += b.occurrences
        box.factors.remove(b)
    else:
        b.over = [f for f in b.over if f is not a]
        a.inner = b
    for factor in box.factors:
        factor.over = [f for f in factor.over if f is not b]
