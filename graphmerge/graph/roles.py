"""Roles from structure: what a group is for, read off the ops around it, never off a name.

The heads, qk and v of attention are the letters around a softmax between two products of activations; the residual is
what activations are added on across the model; a feed-forward space lies between two matrices on the residual.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from graphmerge.algebra import Equation, Solution
from graphmerge.algebra.equation import letter_of

PASSING = ("elementwise", "identity", "view", "permute", "expand", "cat", "slice", "look-up")


class Flow:
    """Equations by the activations that they read and write, and the final leaves of their letters."""

    def __init__(self, solution: Solution) -> None:
        system = solution.working.system
        self.solution = solution
        self.equations = system.equations
        self.kinds = {name: tensor.kind for name, tensor in system.tensors.items()}
        self.zeros = {n for n, t in system.tensors.items() if t.kind == "constant" and not np.any(t.value)}
        self.writers: dict[str, list[int]] = defaultdict(list)
        self.readers: dict[str, list[int]] = defaultdict(list)
        self.outputs: list[set[str]] = []
        for number, eq in enumerate(self.equations):
            written = {t.tensor for t in eq.terms if t.tensor is not None and _is_output(t.tensor, eq.origin.node)}
            self.outputs.append(written)
            for term in eq.terms:
                if term.tensor is not None:
                    (self.writers if term.tensor in written else self.readers)[term.tensor].append(number)
        self.leaves = self._letter_leaves()
        self.weights = self._weights()

    def _letter_leaves(self) -> dict[tuple[int, str], list[int]]:
        found: dict[tuple[int, str], dict[int, None]] = defaultdict(dict)
        working = self.solution.working
        for instance in working.instances:
            for number, letters in zip(instance.boxes, instance.letters):
                first = working.boxes[number].first
                for dim, key in enumerate(letters):
                    if key is not None:
                        leaf = self.solution.leaf_at(first + dim)
                        if leaf in self.solution.leaves:
                            found[instance.equation, key[0]][leaf] = None
        return {key: list(leaves) for key, leaves in found.items()}

    def _weights(self) -> set[str]:
        """Parameters, buffers, and what is computed from nothing else (a gain's view, ``1 + gain``)."""
        found = {t for t, kind in self.kinds.items() if kind in ("parameter", "buffer")}
        for eq, written in zip(self.equations, self.outputs):
            read = {t.tensor for t in eq.terms if t.tensor is not None} - written
            if read & found and all(t in found or self.kinds[t] == "constant" for t in read):
                found |= written
        return found

    def writers_of(self) -> dict[int, str]:
        """For each leaf, the first parameter whose product with an activation brings it in."""
        found: dict[int, str] = {}
        for number, eq in enumerate(self.equations):
            if eq.origin.kind not in ("contraction", "convolution", "look-up"):
                continue
            read = set().union(*self.operands(number).values())
            for term in eq.terms:
                if term.tensor is None or self.kinds[term.tensor] != "parameter":
                    continue
                own = {letter_of(i) for axis in term.axes for i in axis}
                for letter in sorted((own & self.letters_out(number)) - read):
                    for leaf in self.leaves.get((number, letter), []):
                        found.setdefault(leaf, term.tensor)
        return found

    def operands(self, number: int) -> dict[str, set[str]]:
        """Activations that an equation reads, with their letters."""
        return {
            t.tensor: {letter_of(i) for axis in t.axes for i in axis}
            for t in self.equations[number].terms
            if t.tensor is not None and self.kinds[t.tensor] == "activation" and t.tensor not in self.outputs[number]
        }

    def letters_out(self, number: int) -> set[str]:
        return {
            letter_of(i)
            for t in self.equations[number].terms
            if t.tensor in self.outputs[number]
            for axis in t.axes
            for i in axis
        }

    def products(self, start: Iterable[str], step: Callable[[str], Iterable[int]], forward: bool) -> dict[int, str]:
        """The nearest products of two activations upstream or downstream of some tensors, and by which they met it."""
        queue, seen, found = list(start), set(start), {}
        while queue:
            tensor = queue.pop()
            for number in step(tensor):
                eq = self.equations[number]
                operands = self.operands(number)
                if eq.origin.kind == "contraction" and len(operands) == 2:
                    found.setdefault(number, tensor)
                elif eq.origin.kind in PASSING or self._mixes_scores(eq, operands):
                    new = (self.outputs[number] if forward else set(operands)) - seen
                    seen |= new
                    queue += sorted(new)
        return found

    def _mixes_scores(self, eq: Equation, operands: Mapping[str, set[str]]) -> bool:
        """Talking heads: a parameter mixes the heads of all scores."""
        ranks = [len(t.axes) for t in eq.terms if t.tensor in operands]
        return eq.origin.kind in ("contraction", "convolution") and len(operands) == 1 and max(ranks) >= 4


def _is_output(tensor: str, node: str) -> bool:
    name = tensor.partition(":")[2] if tensor.startswith("trace") else tensor
    return bool(node) and (name == node or name.startswith(node + "."))


def find_roles(flow: Flow) -> dict[int, str]:
    """Role of each leaf that has one: residual, ffn, heads, query_heads, qk, v."""
    solution = flow.solution
    roles: dict[int, str] = {}

    def give(role: str, number: int, letters: Iterable[str]) -> None:
        for letter in sorted(letters):
            for leaf in flow.leaves.get((number, letter), []):
                roles.setdefault(leaf, role)

    for number, eq in enumerate(flow.equations):
        if eq.origin.kind == "attention":
            for role, letters in (("heads", "hkg"), ("qk", "d"), ("v", "e")):
                give(role, number, letters)
        elif eq.origin.kind == "softmax":
            _around_softmax(flow, number, give)
    _split_heads(solution, roles)
    _residual(flow, roles)
    _feed_forward(solution, roles)
    return roles


def _around_softmax(flow: Flow, number: int, give: Callable[[str, int, Iterable[str]], None]) -> None:
    scored = flow.products(flow.operands(number), lambda t: flow.writers[t], forward=False)
    weighted = flow.products(flow.outputs[number], lambda t: flow.readers[t], forward=True)
    if not scored or not weighted:
        return
    for product in scored:
        a, b = flow.operands(product).values()
        give("heads", product, a & b & flow.letters_out(product))
        give("qk", product, (a & b) - flow.letters_out(product))
    for product, weights in weighted.items():
        operands = flow.operands(product)
        mixing = operands.pop(weights)  # heads, queries, keys; the other operand may lack the heads
        (value,) = operands.values()
        out = flow.letters_out(product)
        give("heads", product, mixing & value & out)
        give("heads", product, _leading(flow, product, weights, mixing & out - value))
        give("v", product, value & out)


def _leading(flow: Flow, number: int, tensor: str, letters: set[str]) -> list[str]:
    """These letters in the order of a tensor's axes, without the last: that one runs over the queries."""
    term = next(t for t in flow.equations[number].terms if t.tensor == tensor)
    return [x for axis in term.axes for x in map(letter_of, axis) if x in letters][:-1]


def _split_heads(solution: Solution, roles: dict[int, str]) -> None:
    """Of grouped queries, the inner factor of the heads: the query heads of each key-value head."""
    for leaf, role in list(roles.items()):
        if role == "heads" and any(roles.get(base) in ("heads", "query_heads") for base in solution.leaves[leaf].over):
            roles[leaf] = "query_heads"


def _residual(flow: Flow, roles: dict[int, str]) -> None:
    """The leaf on which activations are added that lies furthest outside the layers, with everything else like it."""
    added: dict[int, None] = {}
    for number, eq in enumerate(flow.equations):
        if eq.origin.kind == "elementwise" and ".add" in eq.origin.op:
            operands = list(flow.operands(number).values())
            if len(operands) == 2:
                for letter in sorted(operands[0] & operands[1]):
                    added |= dict.fromkeys(flow.leaves.get((number, letter), []))
    candidates = [leaf for leaf in added if leaf not in roles and flow.solution.leaves[leaf].size > 1]
    spread = {leaf: _spread(flow.solution, leaf) for leaf in candidates}
    best = max(spread.values(), default=None)
    for leaf in candidates:
        if spread[leaf] == best or spread[leaf][0] > 1:
            roles[leaf] = "residual"


def _spread(solution: Solution, leaf: int) -> tuple[int, int, int]:
    """In how many layers, in how many tensors outside any layer, and in how many tensors a leaf occurs."""
    tensors = [t for t, boxes in solution.boxes.items() if any(f.leaf == leaf for b in boxes for f in b.factors)]
    layers = {layer_of(t) for t in tensors}
    return len(layers - {None}), sum(layer_of(t) is None for t in tensors), len(tensors)


def layer_of(path: str) -> tuple[str, int] | None:
    """``("encoder.layer", 3)`` for ``encoder.layer.3.attention``: the list that a module stands in, and its place."""
    parts = path.split(".")
    for place, part in enumerate(parts[:-1]):
        if part.isdigit() and place > 0:
            return ".".join(parts[:place]), int(part)
    return None


def _feed_forward(solution: Solution, roles: dict[int, str]) -> None:
    """A leaf that meets nothing but the residual and its own bases, in two matrices or more."""
    meets: dict[int, set[int]] = defaultdict(set)
    matrices: dict[int, int] = defaultdict(int)
    for boxes in solution.boxes.values():
        for box in boxes:
            wide = {f.leaf for f in box.factors if f.size > 1}
            for leaf in wide:
                meets[leaf] |= wide - {leaf}
                matrices[leaf] += any(roles.get(other) == "residual" for other in wide)
    for name, leaf in solution.leaves.items():
        others = {o for o in meets[name] if roles.get(o) != "residual" and o not in leaf.over}
        if name not in roles and leaf.pinned is None and not others and matrices[name] >= 2:
            roles[name] = "ffn"
