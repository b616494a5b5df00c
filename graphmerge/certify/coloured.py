"""The scalar graph as a coloured graph without directions, and the number of its automorphisms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.unroll import Unrolled

CELL: Final = "f"  # BLISS splits the first cell first: on these graphs the fastest of its six ways


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

    A vertex's colour says the operation with its constant arguments, the places that it has among the outputs, and the
    colours of its arguments (which makes the colours of what is below another vertex different from its own, so that
    every edge has a direction). An argument is reached through a vertex of its own where that does not tell its place,
    or where it counts more than once.
    """
    nodes = unrolled.nodes
    vertices: dict[int, int] = {}
    colours: list[int] = []
    edges: list[tuple[int, int]] = []
    palette: dict[Hashable, int] = {}

    def vertex(paint: Hashable) -> int:
        colours.append(palette.setdefault(paint, len(palette)))
        return len(colours) - 1

    for node in sorted(_reachable(unrolled)):  # children come first
        places = [(n, vertices[c]) for n, c in enumerate(nodes.children[node]) if c not in nodes.values]
        below = [colours[v] for _, v in places]
        seen = tuple(below) if nodes.ordered[node] else tuple(sorted(below))
        top = vertices[node] = vertex((_kind(unrolled, node), unrolled.outputs.get(node), seen))
        for child, role in _roles(places, below) if nodes.ordered[node] else _repeated(places):
            if role is None:
                edges.append((top, child))
            else:
                middle = vertex(("argument", role))
                edges += [(top, middle), (middle, child)]
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


Argument = tuple[int, Hashable]  # its vertex, and what tells it apart if its colour does not


def _roles(places: Sequence[tuple[int, int]], colours: Sequence[int]) -> Iterator[Argument]:
    """Arguments whose place matters: the first of each colour needs no telling apart."""
    met: set[int] = set()
    for (place, vertex), colour in zip(places, colours):
        yield vertex, ("place", place) if colour in met else None
        met.add(colour)


def _repeated(places: Sequence[tuple[int, int]]) -> Iterator[Argument]:
    """Arguments whose place does not matter, each once."""
    for vertex, times in Counter(v for _, v in places).items():
        yield vertex, ("times", times) if times > 1 else None


def log_order(graph: Coloured, fixed: Collection[int] = ()) -> float:
    """Natural log of the number of automorphisms that leave the entries ``fixed`` in place, counted by BLISS."""
    return math.log(graph.drawn.count_automorphisms(color=_told_apart(graph, fixed), sh=CELL))


def generators(graph: Coloured, fixed: Collection[int] = ()) -> list[dict[int, int]]:
    """Automorphisms that leave ``fixed`` in place and of which all others are products: where each takes the entries
    that it moves."""
    entry = {v: n for n, v in graph.entries.items()}
    found = graph.drawn.automorphism_group(color=_told_apart(graph, fixed), sh=CELL)
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
