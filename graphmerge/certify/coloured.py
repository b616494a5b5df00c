"""The scalar graph as a coloured graph without directions, and the number of its automorphisms."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.interned import Array, numbered
from graphmerge.certify.nodes import Family, Layer
from graphmerge.certify.unroll import Unrolled

CELL: Final = "f"  # BLISS splits the first cell first: on these graphs the fastest of its six ways


@dataclass(frozen=True)
class Coloured:
    """Vertices with colours, (n,), and edges, (m, 2); ``entries`` are the vertices of parameter entries, by entry."""

    colours: Array
    edges: Array
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
        return igraph.Graph(n=len(self.colours), edges=list(zip(*self.edges.T.tolist())))


def colour(unrolled: Unrolled) -> Coloured:
    """Everything that the outputs are computed from.

    A vertex's colour says the operation with its constant arguments, the places that it has among the outputs, and the
    colours of its arguments (which makes the colours of what is below another vertex different from its own, so that
    every edge has a direction). An argument is reached through a vertex of its own where that does not tell its place,
    or where it counts more than once.
    """
    drawing = _Drawing(unrolled)
    layers = unrolled.nodes.layers()
    alive = _reachable(unrolled, layers)
    drawing.draw_symbols([n for n in unrolled.nodes.symbols if alive[n]])
    for layer in layers:
        if (live := alive[layer.ids]).any():
            drawing.draw(layer.family, layer.ids[live], layer.rows[live])
    entries = {n: int(drawing.vertex[n]) for n in unrolled.entries if alive[n]}
    return Coloured(np.concatenate(drawing.colours), np.concatenate(drawing.edges), entries)


def _reachable(unrolled: Unrolled, layers: Sequence[Layer]) -> Array:
    """Which nodes are outputs or what these are computed from, (nodes,)."""
    alive = np.zeros(len(unrolled.nodes), np.bool_)
    alive[list(unrolled.outputs)] = True
    for layer in reversed(layers):
        alive[layer.rows[alive[layer.ids]]] = True
    return alive


class _Drawing:
    """Vertices and edges as they are drawn, children first. Of every node it knows the vertex and the colour."""

    def __init__(self, unrolled: Unrolled) -> None:
        nodes = unrolled.nodes
        self.unrolled = unrolled
        self.constant = np.zeros(len(nodes), np.bool_)
        self.constant[list(nodes.values)] = True
        self.output = np.zeros(len(nodes), np.bool_)
        self.output[list(unrolled.outputs)] = True
        self.vertex = np.full(len(nodes), -1)
        self.colour = np.full(len(nodes), -1)
        self.colours: list[Array] = [np.empty(0, np.int64)]
        self.edges: list[Array] = [np.empty((0, 2), np.int64)]
        self._vertices = 0
        self._used = 0  # colours
        self._palette: dict[Hashable, int] = {}
        self._shades: dict[int, dict[bytes, int]] = {}  # by family: colours by those of the arguments

    def draw_symbols(self, symbols: Sequence[int]) -> None:
        """Entries of one tensor are alike; every entry of an input is unlike all others."""
        entries, outputs, names = self.unrolled.entries, self.unrolled.outputs, self.unrolled.nodes.symbols
        painted = [self._paint((entries.get(n) or ("symbol", names[n]), outputs.get(n))) for n in symbols]
        self._place(np.array(symbols, np.int64), np.array(painted, np.int64))

    def draw(self, family: Family, ids: Array, rows: Array) -> None:
        """Operations, (n,), on arguments that are drawn or constants, (n, arity)."""
        known = self.constant[rows]
        below = np.where(known, 2 * rows.astype(np.int64) + 1, 2 * self.colour[rows])
        shades = self._shades.setdefault(id(family), {})
        colours, fresh = numbered(shades, below if family.ordered else np.sort(below, 1), self._used)
        self._used += len(fresh)
        for n in np.flatnonzero(self.output[ids]):
            colours[n] = self._paint((int(colours[n]), self.unrolled.outputs[int(ids[n])]))
        self._place(ids, colours)
        if family.ordered:
            self._join(ids, rows, ~known, _places(below), "place", plain=0)
        else:
            first, times = _repeated(rows)
            self._join(ids, rows, first & ~known, times, "times", plain=1)

    def _paint(self, paint: Hashable) -> int:
        if paint not in self._palette:
            self._palette[paint] = self._used
            self._used += 1
        return self._palette[paint]

    def _new(self, colours: Array) -> Array:
        """That many vertices."""
        self.colours.append(colours)
        self._vertices += len(colours)
        return np.arange(self._vertices - len(colours), self._vertices)

    def _place(self, ids: Array, colours: Array) -> None:
        self.colour[ids] = colours
        self.vertex[ids] = self._new(colours)

    def _join(self, ids: Array, rows: Array, drawn: Array, roles: Array, name: str, plain: int) -> None:
        """Edges to the arguments that are ``drawn``, through a vertex that says the role where it is not ``plain``."""
        tops = np.broadcast_to(self.vertex[ids][:, None], rows.shape)[drawn]
        arguments, roles = self.vertex[rows[drawn]], roles[drawn]
        direct = roles == plain
        self.edges.append(np.stack([tops[direct], arguments[direct]], 1))
        if direct.all():
            return
        kinds, which = np.unique(roles[~direct], return_inverse=True)
        painted = np.array([self._paint(("argument", (name, int(kind)))) for kind in kinds])
        between = self._new(painted[which])
        self.edges.append(np.stack([tops[~direct], between], 1))
        self.edges.append(np.stack([between, arguments[~direct]], 1))


def _places(colours: Array) -> Array:
    """For arguments whose place matters: the place, or 0 for the first of each colour, which needs no telling apart.

    Rows, (n, arity), of colours.
    """
    order = np.argsort(colours, 1, kind="stable")
    ranked = np.take_along_axis(colours, order, 1)
    again = np.zeros(colours.shape, np.bool_)
    np.put_along_axis(again, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], 1)
    return np.where(again, np.arange(colours.shape[1]), 0)


def _repeated(rows: Array) -> tuple[Array, Array]:
    """For arguments whose place does not matter, in sorted rows, (n, arity): which are the first of equal ones, and how
    many these are."""
    first = np.ones(rows.shape, np.bool_)
    first[:, 1:] = rows[:, 1:] != rows[:, :-1]
    starts = np.flatnonzero(first)
    times = np.zeros(rows.size, np.int64)
    times[starts] = np.diff(np.append(starts, rows.size))
    return first, times.reshape(rows.shape)


def log_order(graph: Coloured) -> float:
    """Natural log of the number of automorphisms, counted by BLISS."""
    return math.log(graph.drawn.count_automorphisms(color=graph.colours.tolist(), sh=CELL))


def generators(graph: Coloured) -> list[dict[int, int]]:
    """Automorphisms of which all others are products: where each takes the entries that it moves."""
    entry = {v: n for n, v in graph.entries.items()}
    found = graph.drawn.automorphism_group(color=graph.colours.tolist(), sh=CELL)
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
