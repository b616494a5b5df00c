"""From equations to groups: both stages, coarsening, and the layout of every parameter and buffer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from graphmerge.algebra.coarsen import Chains
from graphmerge.algebra.equation import System
from graphmerge.algebra.leaves import Box, Leaves
from graphmerge.algebra.over import Over, Slots
from graphmerge.algebra.pairs import merge_pairs

MOVABLE = ("parameter", "buffer")


@dataclass(eq=False, slots=True)
class Factor:
    """One factor of one axis in a solved box.

    ``occurrences`` are the occurrences of the working system that it is: one, or those of the pairs that became it.
    ``over`` lists the factors of that box that choose its permutation; ``inner`` is the factor that it moves jointly
    with, where a leaf of pairs does not stand on one axis.
    """

    leaf: int
    axis: int
    size: int
    stride: int
    occurrences: tuple[int, ...] = ()
    over: list[Factor] = field(default_factory=list)
    inner: Factor | None = None


@dataclass(slots=True)
class SolvedBox:
    """A box after coarsening: offset of each axis, factors over all axes in order."""

    tensor: str
    offsets: tuple[int, ...]
    factors: list[Factor]


@dataclass(slots=True)
class Leaf:
    """An index set. ``parts`` are the leaves of a group of pairs, outermost first; else just itself."""

    name: int
    size: int
    over: tuple[int, ...]
    pinned: str | None
    parts: tuple[int, ...]


@dataclass
class Solution:
    """Leaves with at least one parameter or buffer axis, and the boxes of those tensors.

    ``working`` keeps both stages for explanations and drawings.
    """

    leaves: dict[int, Leaf]
    boxes: dict[str, list[SolvedBox]]
    merged: dict[int, int]  # leaf -> the leaf that it became part of
    working: Leaves

    def leaf_at(self, occurrence: int) -> int:
        """The final leaf of an occurrence of the working system."""
        leaf = self.working.find(occurrence)
        while leaf in self.merged:
            leaf = self.merged[leaf]
        return leaf


def solve(system: System) -> Solution:
    """All permutations that every equation allows.

    A leaf that no pin reaches is free; two leaves that continue each other everywhere are one; two that are each over
    the other are one leaf of pairs.
    """
    working = Leaves.of(system)
    over = Over(working)
    pinned: dict[int, str] = {}
    for occurrence, (reason, _) in sorted(working.pins.items()):
        pinned.setdefault(working.find(occurrence), reason)
    chains = Chains(working, over, set(pinned)).chains
    start, total, merged = _positions(working, chains)
    slots = Slots(over).by_leaf()
    boxes: dict[str, list[SolvedBox]] = defaultdict(list)
    for box in working.boxes:
        if system.tensors[box.tensor].kind in MOVABLE and not any(start.get(leaf) for leaf in _leaves_of(working, box)):
            boxes[box.tensor].append(_solved(working, box, slots, total))
    leaves = _collect(working, boxes, slots, pinned, total, merged)
    solution = Solution(leaves, dict(boxes), merged, working)
    merge_pairs(solution.leaves, solution.boxes, solution.merged)
    break_cycles(solution)
    close_over(solution)
    return solution


def _leaves_of(working: Leaves, box: Box) -> Iterator[int]:
    return (working.find(o) for o in range(box.first, box.first + len(box.sizes)))


def _positions(working: Leaves, chains: list[list[int]]) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Where each leaf of a chain starts, the size of the whole chain by its first leaf, and who joins whom."""
    start: dict[int, int] = {}
    total: dict[int, int] = {}
    merged: dict[int, int] = {}
    for chain in chains:
        length = 0
        for leaf in chain:
            start[leaf] = length
            length += working.size(leaf)
        total[chain[0]] = length
        merged |= dict.fromkeys(chain[1:], chain[0])
    return start, total, merged


def _solved(working: Leaves, box: Box, slots: dict[int, list[dict[int, int]]], total: dict[int, int]) -> SolvedBox:
    runs = working.runs(box)
    strides = [s for run in runs for _, s in run.factors]
    factors = []
    for dim, (axis, size, stride) in enumerate(zip(box.axes, box.sizes, strides)):
        leaf = working.find(box.first + dim)
        factors.append(Factor(leaf, axis, total.get(leaf, size), stride, (box.first + dim,)))
    for dim, factor in enumerate(factors):
        factor.over = [factors[slot[box.first + dim]] for slot in slots.get(factor.leaf, [])]
    return SolvedBox(box.tensor, tuple(run.offset for run in runs), factors)


def _collect(
    working: Leaves,
    boxes: dict[str, list[SolvedBox]],
    slots: dict[int, list[dict[int, int]]],
    pinned: dict[int, str],
    total: dict[int, int],
    merged: dict[int, int],
) -> dict[int, Leaf]:
    leaves: dict[int, Leaf] = {}
    for factor in (f for solved in boxes.values() for box in solved for f in box.factors):
        if factor.leaf not in leaves:
            bases = tuple(merged.get(f.leaf, f.leaf) for f in factor.over)
            leaves[factor.leaf] = Leaf(factor.leaf, factor.size, bases, pinned.get(factor.leaf), (factor.leaf,))
    return leaves


def break_cycles(solution: Solution) -> None:
    """ "Over" must be acyclic: drop the bases that would close a cycle. A subgroup stays, so this is safe.

    What a pinned leaf is over means nothing, so no cycle goes through one.
    """
    done = {name for name, leaf in solution.leaves.items() if leaf.pinned is not None}

    def visit(name: int, path: tuple[int, ...]) -> None:
        leaf = solution.leaves[name]
        keep = []
        for slot, base in enumerate(leaf.over):
            if base in (*path, name):
                continue
            if base not in done:
                visit(base, (*path, name))
            keep.append(slot)
        if len(keep) < len(leaf.over):
            _keep_slots(solution, name, keep)
        done.add(name)

    for name in list(solution.leaves):
        if name not in done:
            visit(name, ())


def close_over(solution: Solution) -> None:
    """Whatever is over a base is over that base's bases too; a base for which that fails is dropped."""
    changed = True
    while changed:
        changed = False
        for name, leaf in solution.leaves.items():
            keep = [s for s, b in enumerate(leaf.over) if set(_free_over(solution, b)) <= set(leaf.over)]
            if len(keep) < len(leaf.over):
                _keep_slots(solution, name, keep)
                changed = True


def _free_over(solution: Solution, base: int) -> tuple[int, ...]:
    leaf = solution.leaves[base]
    return leaf.over if leaf.pinned is None else ()


def _keep_slots(solution: Solution, name: int, keep: list[int]) -> None:
    leaf = solution.leaves[name]
    leaf.over = tuple(leaf.over[slot] for slot in keep)
    for box in (b for solved in solution.boxes.values() for b in solved):
        for factor in box.factors:
            if factor.leaf == name:
                factor.over = [factor.over[slot] for slot in keep]
