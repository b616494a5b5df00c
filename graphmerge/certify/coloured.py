"""The scalar graph as a coloured graph without directions, and the number of its automorphisms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.unroll import Unrolled


@dataclass(frozen=True)
class Coloured:
    """Vertices with colours, and edges; ``entries`` are the vertices of parameter entries, by entry."""

    colours: list[int]
    edges: list[tuple[int, int]]
    entries: dict[int, int]

    @cached_property
    def drawn(self) -> Any:
        """The graph as igraph has it, without colours."""
        try:
            import igraph
        except ImportError:
            raise CertifyError(
                "counting automorphisms needs igraph, which is not installed; pip install 'graphmerge[certify]'"
            ) from None
        return igraph.Graph(n=len(self.colours), edges=self.edges)


def colour(unrolled: Unrolled) -> Coloured:
    """Everything that the outputs are computed from.

    A vertex's colour says the operation with its constant arguments, its height (longest way down, which gives every
    edge a direction) and the places that it has among the outputs. An argument whose place matters, or which counts
    more than once, is reached through a vertex of its own.
    """
    nodes = unrolled.nodes
    heights: dict[int, int] = {}
    vertices: dict[int, int] = {}
    colours: list[int] = []
    edges: list[tuple[int, int]] = []
    palette: dict[Hashable, int] = {}

    def vertex(paint: Hashable) -> int:
        colours.append(palette.setdefault(paint, len(palette)))
        return len(colours) - 1

    for node in sorted(_reachable(unrolled)):  # children come first
        arguments = [c for c in nodes.children[node] if c not in nodes.values]
        heights[node] = 1 + max((heights[c] for c in arguments), default=0)
        vertices[node] = vertex((heights[node], unrolled.outputs.get(node), _kind(unrolled, node)))
        for child, role in _roles(unrolled, node):
            end = vertices[node]
            if role:
                end = vertex(("argument", role))
                edges.append((vertices[node], end))
            edges.append((end, vertices[child]))
    return Coloured(colours, edges, {n: v for n, v in vertices.items() if n in unrolled.entries})


def _reachable(unrolled: Unrolled) -> set[int]:
    """The outputs and all that they are computed from, constants left out."""
    nodes = unrolled.nodes
    found: set[int] = set()
    waiting = [n for n in unrolled.outputs if n not in nodes.values]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [c for c in nodes.children[node] if c not in nodes.values]
    return found


def _kind(unrolled: Unrolled, node: int) -> Hashable:
    """What must be alike for two nodes to trade places: the tensors of an entry; else operation and constants."""
    nodes = unrolled.nodes
    if node in unrolled.entries:
        return unrolled.entries[node]
    constants = [(c if c in nodes.values else None) for c in nodes.children[node]]
    known = tuple(constants) if nodes.ordered[node] else tuple(sorted(c for c in constants if c is not None))
    return nodes.ops[node], nodes.ordered[node], len(constants), known


def _roles(unrolled: Unrolled, node: int) -> Iterator[tuple[int, Hashable]]:
    """The arguments that are no constants with what tells them apart; None for the commonest case."""
    nodes = unrolled.nodes
    places = [(c, n) for n, c in enumerate(nodes.children[node]) if c not in nodes.values]
    if nodes.ordered[node]:
        for number, (child, place) in enumerate(places):
            yield child, ("place", place) if number else None
    else:
        for child, times in Counter(c for c, _ in places).items():
            yield child, ("times", times) if times > 1 else None


def log_order(graph: Coloured, fixed: Collection[int] = ()) -> float:
    """Natural log of the number of automorphisms that leave the entries ``fixed`` in place, counted by BLISS."""
    return math.log(graph.drawn.count_automorphisms(color=_told_apart(graph, fixed)))


def generators(graph: Coloured, fixed: Collection[int] = ()) -> list[dict[int, int]]:
    """Automorphisms that leave ``fixed`` in place and of which all others are products: where each takes the entries
    that it moves."""
    entry = {v: n for n, v in graph.entries.items()}
    found = graph.drawn.automorphism_group(color=_told_apart(graph, fixed))
    return [{n: entry[image[v]] for n, v in graph.entries.items() if image[v] != v} for image in found]


def orbits(graph: Coloured) -> dict[int, int]:
    """For every parameter entry the least of those that automorphisms take it to."""
    return joined(graph.entries, generators(graph))


def joined(entries: Iterable[int], moves: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """For every entry the least of those that products of ``moves`` take it to."""
    root = {n: n for n in entries}

    def find(n: int) -> int:
        while root[n] != n:
            root[n] = root[root[n]]
            n = root[n]
        return n

    for move in moves:
        for source, target in move.items():
            a, b = find(source), find(target)
            root[max(a, b)] = min(a, b)
    return {n: find(n) for n in root}


def _told_apart(graph: Coloured, fixed: Collection[int]) -> list[int]:
    """The colours, with one of its own for each fixed entry."""
    colours = list(graph.colours)
    fresh = max(colours, default=0)
    for number, entry in enumerate(fixed, start=1):
        if entry in graph.entries:
            colours[graph.entries[entry]] = fresh + number
    return colours
