"""How many automorphisms there can be at most, from colours alone.

Colours are refined until vertices of one colour have as many neighbours of each colour as one another (1-dimensional
Weisfeiler-Leman; McKay, "Practical graph isomorphism", 1981). An automorphism that fixes a vertex takes no other vertex
to one of another colour, so the order of the group is at most the product of the sizes of the cells of one vertex after
another, each fixed before the next is looked at. Where every cell is an orbit, as it is wherever units of an axis can
be told apart by nothing, that is the order itself. No automorphism has to be searched for, which is what takes long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy import sparse

from graphmerge.certify.coloured import Coloured
from graphmerge.certify.interned import Array


def log_bound(graph: Coloured) -> float:
    """Natural log of a number that the number of automorphisms cannot exceed."""
    return Cells(graph).fix_all(graph.entries.values())  # what computes with them is told apart by them


class Cells:
    """The coarsest colours that are finer than those of a graph and that neighbours do not tell apart further."""

    def __init__(self, graph: Coloured) -> None:
        count = len(graph.colours)
        first, second = graph.edges.T.astype(np.int32)
        ends = np.concatenate([first, second]), np.concatenate([second, first])
        adjacency = sparse.coo_array((np.ones(len(ends[0]), np.bool_), ends), shape=(count, count)).tocsr()
        self._starts, self._neighbours = adjacency.indptr, adjacency.indices
        self._colour = np.unique(graph.colours, return_inverse=True)[1].astype(np.int64)
        sizes = np.bincount(self._colour)
        self._used = len(sizes)
        self._size = np.concatenate([sizes, np.zeros(count + 1, sizes.dtype)])  # each split adds a colour, of count
        self._refine(np.arange(count))

    def colour_of(self, vertex: int) -> int:
        return int(self._colour[vertex])

    def fix_all(self, vertices: Iterable[int]) -> float:
        """Give each a colour of its own, one after the other; natural log of in how many ways they could be taken."""
        ways = 0.0
        for vertex in vertices:
            size = int(self._size[self._colour[vertex]])
            if size > 1:
                ways += math.log(size)
                self._fix(vertex)
        return ways

    def _fix(self, vertex: int) -> None:
        self._size[self._colour[vertex]] -= 1
        self._colour[vertex] = self._used
        self._size[self._used] = 1
        self._used += 1
        self._refine(np.array([vertex]))

    def _refine(self, changed: Array) -> None:
        """Tell apart, round by round, what has different neighbours among the vertices whose colour changed.

        Those of a split cell that keep its colour need not be looked at: how many there are follows from the others.
        """
        while len(changed):
            vertices, seen = self._signals(changed)
            order = np.lexsort((seen, self._colour[vertices]))
            vertices, seen = vertices[order], seen[order]
            changed = self._split(vertices, seen)

    def _signals(self, changed: Array) -> tuple[Array, Array]:
        """The neighbours, and for each the sum of random numbers that stand for the colours it sees.

        Sums that are equal by chance leave a cell whole that could be split, which makes the bound larger, not wrong.
        """
        first, last = self._starts[changed], self._starts[changed + 1]
        lengths = last - first
        offsets = np.cumsum(lengths) - lengths
        where = np.repeat(first - offsets, lengths) + np.arange(lengths.sum())
        vertices = self._neighbours[where]
        seen = np.repeat(_random(self._colour[changed]), lengths)
        open_ = self._size[self._colour[vertices]] > 1
        vertices, seen = vertices[open_], seen[open_]
        order = np.argsort(vertices, kind="stable")
        vertices, seen = vertices[order], seen[order]
        firsts = _firsts(vertices)
        return vertices[firsts], np.add.reduceat(seen, firsts) if len(firsts) else seen

    def _split(self, vertices: Array, seen: Array) -> Array:
        """Give the parts of cells new colours, all but one part of each; returns the vertices with new ones.

        ``vertices`` are sorted by colour, those of one colour by what they have ``seen``.
        """
        if not len(vertices):
            return vertices
        colours = self._colour[vertices]
        starts = _firsts(colours, seen)
        lengths = np.diff(np.append(starts, len(vertices)))  # of parts
        cells = colours[starts]
        first_parts = _firsts(cells)
        touched = np.add.reduceat(lengths, first_parts)
        whole = touched == self._size[cells[first_parts]]
        # where nothing of a cell is left over, its largest part keeps the colour
        largest = np.lexsort((lengths, cells))[np.append(first_parts[1:], len(cells)) - 1]
        fresh = np.ones(len(starts), np.bool_)
        fresh[largest[whole]] = False
        count = int(fresh.sum())
        names = self._used + np.arange(count)
        self._used += count
        self._size[names] = lengths[fresh]
        np.subtract.at(self._size, cells[fresh], lengths[fresh])
        moved = np.repeat(fresh, lengths)
        self._colour[vertices[moved]] = np.repeat(names, lengths[fresh])
        return vertices[moved]


def _firsts(*sorted_keys: Array) -> Array:
    """Where the runs of equal keys start."""
    changes = np.ones(len(sorted_keys[0]), np.bool_)
    changes[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in sorted_keys])
    return np.flatnonzero(changes)


def _random(numbers: Array) -> Array:
    """A random 64-bit number for each (the mixing function of SplitMix64)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # 0 would stay 0
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
