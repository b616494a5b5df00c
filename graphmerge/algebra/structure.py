"""Stage 1: which cuts and which factors an axis has, not which space it is.

A union-find over structure nodes. A node is an atom, a product of nodes (a view) or a sum of nodes (a slice); unifying
two nodes refines both to a common structure. Sharing a structure ties nothing: ties are between leaves (stage 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_CHOICES = 4096


class Conflict(Exception):  # noqa: N818  (an outcome, handled by the solver, not an error)
    """Two structures of one axis without a common refinement."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One segment chosen in every sum of an axis: an offset, and its factors (size, stride), outermost first.

    A factor of size 1 is a segment of one unit (or an axis of one unit): its neighbours may later coarsen with it.
    """

    offset: int
    factors: tuple[tuple[int, int], ...]

    @property
    def key(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Names the choice among those of its axis; units do not matter for that."""
        return self.offset, tuple(f for f in self.factors if f[0] > 1)


class Structures:
    """The union-find. Nodes are ints."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._size: list[int] = []
        self._form: list[tuple[str, tuple[int, ...]] | None] = []
        self._choices: dict[int, tuple[Choice, ...]] = {}
        self._same: dict[tuple[Choice, ...], tuple[Choice, ...]] = {}

    def _node(self, size: int, form: tuple[str, tuple[int, ...]] | None = None) -> int:
        self._parent.append(len(self._parent))
        self._size.append(size)
        self._form.append(form)
        return len(self._parent) - 1

    def atom(self, size: int) -> int:
        return self._node(size)

    def product(self, nodes: Sequence[int]) -> int:
        """Row-major: the first node is the outermost. Nodes of size 1 vanish, so no node can contain itself."""
        nodes = [n for n in nodes if self._size[n] > 1] or list(nodes[:1])
        if len(nodes) == 1:
            return nodes[0]
        return self._node(math.prod(self._size[n] for n in nodes), ("*", tuple(nodes)))

    def sum(self, nodes: Sequence[int]) -> int:
        """Segments in order; empty ones vanish."""
        nodes = [n for n in nodes if self._size[n]]
        if len(nodes) == 1:
            return nodes[0]
        return self._node(sum(self._size[n] for n in nodes), ("+", tuple(nodes)))

    def find(self, node: int) -> int:
        while self._parent[node] != node:
            self._parent[node] = node = self._parent[self._parent[node]]
        return node

    def size(self, node: int) -> int:
        return self._size[node]

    # -- refinement ------------------------------------------------------------------------------------------------

    def unify(self, a: int, b: int) -> None:
        """Give both nodes one structure.

        Raises:
            Conflict: they have no common refinement.
        """
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        if self._size[a] != self._size[b]:
            raise Conflict(f"sizes {self._size[a]} and {self._size[b]}")
        self._choices.clear()
        if self._form[a] is None:
            a, b = b, a
        mine, theirs = self._form[a], self._form[b]
        self._parent[b] = a
        if mine is None or theirs is None:
            return
        match mine[0], theirs[0]:
            case "*", "*":
                self._unify_products(self._flat(mine[1]), self._flat(theirs[1]))
            case "+", "+":
                self._unify_sums(list(mine[1]), list(theirs[1]))
            case "+", _:
                self._unify_sums(list(mine[1]), [self._node(self._size[a], theirs)])
            case _:
                self._unify_sums(list(theirs[1]), [self._node(self._size[a], mine)])

    def _flat(self, nodes: Sequence[int]) -> list[int]:
        """Factors of size 2 or more, nested products opened."""
        out: list[int] = []
        for node in map(self.find, nodes):
            form = self._form[node]
            if form is not None and form[0] == "*":
                out += self._flat(form[1])
            elif self._size[node] > 1:
                out.append(node)
        return out

    def _unify_products(self, xs: list[int], ys: list[int]) -> None:
        while xs and ys:
            if self._size[xs[0]] > self._size[ys[0]]:
                xs, ys = ys, xs
            x, y = xs[0], ys[0]
            inner, rest = divmod(self._size[y], self._size[x])
            if rest:
                raise Conflict(f"factors {self._size[x]} and {self._size[y]}")
            if inner == 1:
                self.unify(x, y)
                xs, ys = xs[1:], ys[1:]
                continue
            remainder = self.atom(inner)
            self.unify(y, self.product([x, remainder]))
            xs, ys = xs[1:], [remainder, *ys[1:]]

    def _unify_sums(self, xs: list[int], ys: list[int]) -> None:
        while xs and ys:
            if self._size[xs[0]] > self._size[ys[0]]:
                xs, ys = ys, xs
            x, y = xs[0], ys[0]
            if self._size[x] == self._size[y]:
                self.unify(x, y)
                xs, ys = xs[1:], ys[1:]
                continue
            left, right = self.cut(y, self._size[x])
            self.unify(x, left)
            xs, ys = xs[1:], [right, *ys[1:]]

    def cut(self, node: int, at: int) -> tuple[int, int]:
        """The first ``at`` units of a node, and the others; 0 < at < size.

        Raises:
            Conflict: the cut goes through the inner factor of a product.
        """
        node = self.find(node)
        self._choices.clear()
        form = self._form[node]
        if form is None:
            left, right = self.atom(at), self.atom(self._size[node] - at)
            self._form[node] = ("+", (left, right))
            return left, right
        if form[0] == "+":
            return self._cut_sum(list(form[1]), at)
        first, *rest = self._flat(form[1])
        inner = self._size[node] // self._size[first]
        if at % inner:
            raise Conflict(f"a cut at {at} inside factors of {inner}")
        if not rest:
            return self.cut(first, at)
        left, right = self.cut(first, at // inner)
        return self.product([left, *rest]), self.product([right, *rest])

    def _cut_sum(self, segments: list[int], at: int) -> tuple[int, int]:
        left: list[int] = []
        for i, segment in enumerate(segments):
            if at == 0:
                return self.sum(left), self.sum(segments[i:])
            if at < self._size[segment]:
                before, after = self.cut(segment, at)
                return self.sum([*left, before]), self.sum([after, *segments[i + 1 :]])
            left.append(segment)
            at -= self._size[segment]
        raise AssertionError("a cut lies inside the node")

    # -- result ----------------------------------------------------------------------------------------------------

    def choices(self, node: int) -> tuple[Choice, ...]:
        """All boxes of a node, by offset; equal ones are one object."""
        node = self.find(node)
        if node not in self._choices:
            found = tuple(sorted(self._find_choices(node), key=lambda c: (c.offset, c.factors)))
            self._choices[node] = self._same.setdefault(found, found)
        return self._choices[node]

    def _find_choices(self, node: int) -> list[Choice]:
        form, size = self._form[node], self._size[node]
        if form is None:
            return [Choice(0, ((size, 1),))]
        if form[0] == "+":
            out, offset = [], 0
            for segment in form[1]:
                out += [Choice(offset + c.offset, c.factors) for c in self.choices(segment)]
                offset += self._size[segment]
            return out
        out, inner = [Choice(0, ())], size
        for factor in form[1]:
            inner //= self._size[factor]
            out = [
                Choice(c.offset + f.offset * inner, c.factors + tuple((n, s * inner) for n, s in f.factors))
                for c in out
                for f in self.choices(factor)
            ]
            if len(out) > MAX_CHOICES:  # left whole: equations that need its parts conflict, and pin
                return [Choice(0, ((size, 1),))]
        return out
