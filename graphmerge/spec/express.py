"""From segments of an axis back to the notation: the tree whose `segments_of` they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from graphmerge.spec.notation import Fixed, Gap, Name, Node, Product, Segment, Sum

Filler = Callable[[int], Fixed | Gap | Name]  # what to write for units that are in no segment


class NotExpressibleError(Exception):
    """Segments that no single axis of the notation means."""


def express(segments: Sequence[Segment], length: int | None, filler: Filler) -> Node:
    """The axis of ``length`` units (None: as many as needed) with these segments.

    Raises:
        NotExpressibleError: they overlap, or interleave without a common outer factor.
    """
    items = _sum(sorted(set(segments), key=lambda s: s.offset), length, filler)
    return items[0] if len(items) == 1 else Sum(tuple(items))


def _sum(segments: Sequence[Segment], length: int | None, filler: Filler) -> list[Node]:
    """The terms of a sum: clusters of segments that interleave, and the gaps between them."""
    items: list[Node] = []
    at = 0
    for cluster in _clusters(segments):
        size = _window(cluster)
        start = max(at, max(_last(s) for s in cluster) + 1 - size)
        if start > cluster[0].offset:
            raise NotExpressibleError
        if start > at:
            items.append(filler(start - at))
        items.append(_product([replace(s, offset=s.offset - start) for s in cluster], filler))
        at = start + size
    if length is not None and at > length:
        raise NotExpressibleError
    if length is not None and at < length:
        items.append(filler(length - at))
    return items


def _last(segment: Segment) -> int:
    return segment.offset + sum((f.size - 1) * f.stride for f in segment.factors)


def _clusters(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Segments in order, together as long as their extents overlap."""
    clusters: list[list[Segment]] = []
    end = -1
    for segment in segments:
        if segment.offset > end:
            clusters.append([])
        clusters[-1].append(segment)
        end = max(end, _last(segment))
    return clusters


def _window(cluster: Sequence[Segment]) -> int:
    """How many units the common outer factor of a cluster spans."""
    if not cluster[0].factors:
        return 1
    outer = cluster[0].factors[0]
    return outer.size * outer.stride


def _product(cluster: Sequence[Segment], filler: Filler) -> Node:
    """The common outer factor of a cluster times the sum of what stands inside it."""
    if len(cluster) == 1 and not cluster[0].factors:
        return Fixed(1)
    outer = {s.factors[0] if s.factors else None for s in cluster}
    if len(outer) > 1:
        raise NotExpressibleError
    factor = cluster[0].factors[0]
    head: Node = factor.name or Fixed(factor.size)
    inner = _sum([replace(s, factors=s.factors[1:]) for s in cluster], factor.stride, filler)
    if factor.stride == 1 and inner == [Fixed(1)]:
        return head
    rest = inner[0] if len(inner) == 1 else Sum(tuple(inner))
    return Product((head, *rest.items) if isinstance(rest, Product) else (head, rest))
