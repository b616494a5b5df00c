"""Coarsening: give back freedom that refinement took.

Neighbouring segments s, t of a sum are one group if every equation that has s in a letter has t as that letter's next
alternative with everything else alike, constants included. (Shortcuts that look only at neighbouring boxes, or only at
parameters, are unsound.)
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from graphmerge.algebra.leaves import Box, Instance, Leaves
from graphmerge.algebra.over import Over
from graphmerge.algebra.structure import Choice


def next_choice(choice: Choice, factor: int, options: tuple[Choice, ...]) -> int | None:
    """Index of the choice that continues ``choice`` along one of its factors: alike but for that factor's size."""
    size, stride = choice.factors[factor]
    before, after = choice.factors[:factor], choice.factors[factor + 1 :]
    for index, option in enumerate(options):
        same = len(option.factors) == len(choice.factors) and option.factors[factor][1] == stride
        if (
            same
            and option.offset == choice.offset + size * stride
            and option.factors[:factor] == before
            and option.factors[factor + 1 :] == after
        ):
            return index
    return None


class Chains:
    """Leaves that continue each other: ``chains`` lists them in order, one list for each merged group."""

    def __init__(self, leaves: Leaves, over: Over, pinned: set[int]) -> None:
        self.leaves = leaves
        self.over = over
        self.pinned = pinned
        self.occurrences: dict[int, list[int]] = defaultdict(list)
        for occurrence in range(len(leaves.occurrence_box)):
            self.occurrences[leaves.find(occurrence)].append(occurrence)
        self.uses: dict[int, list[tuple[int, str, int]]] = defaultdict(list)  # leaf -> instance, letter, factor
        self.instance_at: dict[tuple[int, tuple[tuple[str, int], ...]], int] = {}
        for number, instance in enumerate(leaves.instances):
            self.instance_at[instance.equation, tuple(sorted(instance.choice.items()))] = number
            for leaf, key in self._letters(instance).items():
                self.uses[key].append((number, *leaf))
        self.relied: set[int] = set()
        self.chains = self._chain()

    def _letters(self, instance: Instance) -> dict[tuple[str, int], int]:
        """The leaf of every letter's factor."""
        found = {}
        for number, letters in zip(instance.boxes, instance.letters):
            first = self.leaves.boxes[number].first
            for dim, key in enumerate(letters):
                if key is not None:
                    found[key] = self.leaves.find(first + dim)
        return found

    def _chain(self) -> list[list[int]]:
        follows: dict[int, int] = {}
        relied: set[int] = set()
        for leaf in self.occurrences:
            if leaf in self.pinned:
                continue
            self.relied = set()
            if (after := self._next_leaf(leaf)) is not None:
                follows[leaf] = after
                relied |= self.relied
        # a unit was taken to stand still; it must then not become part of a group itself
        follows = {a: b for a, b in follows.items() if a not in relied and b not in relied}
        firsts = set(follows) - set(follows.values())
        chains = []
        for first in sorted(firsts):
            chain = [first]
            while chain[-1] in follows:
                chain.append(follows[chain[-1]])
            chains.append(chain)
        return chains

    def _next_leaf(self, leaf: int) -> int | None:
        """The leaf that continues this one everywhere and alike, or None."""
        partners = [self._partner(o) for o in self.occurrences[leaf]]
        if not partners or any(p is None for p in partners):
            return None
        after = {self.leaves.find(p) for p in partners if p is not None}
        if len(after) != 1:
            return None
        other = after.pop()
        if other == leaf or other in self.pinned or len(self.occurrences[other]) != len(partners):
            return None
        return other if len(set(partners)) == len(partners) and self._same_equations(leaf, other) else None

    def _partner(self, occurrence: int) -> int | None:
        """The occurrence that continues this one in the next box of its tensor, if all else in the box is alike."""
        leaves = self.leaves
        box = leaves.boxes[leaves.occurrence_box[occurrence]]
        dim = occurrence - box.first
        axis = box.axes[dim]
        options = leaves.axis_choices(box.tensor)[axis]
        factor = dim - box.axes.index(axis)
        index = next_choice(options[box.choices[axis]], factor, options)
        key = (box.tensor, (*box.choices[:axis], index if index is not None else -1, *box.choices[axis + 1 :]))
        if index is None or key not in leaves.box_of:
            return None
        there = leaves.boxes[leaves.box_of[key]]
        if len(there.sizes) != len(box.sizes):
            return None
        for d in range(len(box.sizes)):
            if d != dim and not self._alike(leaves.find(box.first + d), leaves.find(there.first + d)):
                return None
            if self.over.mask[box.first + d] != self.over.mask[there.first + d] and self._wide(box, there, d, dim):
                return None
        return there.first + dim if self._same_values(box, there, dim) else None

    def _alike(self, leaf: int, other: int | None) -> bool:
        """The same leaf, or two single units: neither can move by itself, so it is noted that neither may."""
        if leaf == other:
            return True
        if other is None or self.leaves.size(leaf) != 1 or self.leaves.size(other) != 1:
            return False
        self.relied |= {leaf, other}
        return True

    def _wide(self, box: Box, there: Box, d: int, dim: int) -> bool:
        """Do two masks differ by more than the bit of the merged dim, which a unit segment never sets?"""
        return bool((self.over.mask[box.first + d] ^ self.over.mask[there.first + d]) & ~(1 << dim))

    def _same_values(self, box: Box, there: Box, dim: int) -> bool:
        if self.leaves.system.tensors[box.tensor].kind != "constant":
            return True
        if 0 in box.sizes or 0 in there.sizes:
            return False
        a, b = (self.leaves.values(x).take(0, axis=dim) for x in (box, there))
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))

    def _same_equations(self, leaf: int, other: int) -> bool:
        reached = set()
        for number, letter, factor in self.uses[leaf]:
            instance = self.leaves.instances[number]
            options = self.leaves.structures.choices(self.leaves.letter_nodes[instance.equation][letter])
            index = next_choice(options[instance.choice[letter]], factor, options)
            if index is None:
                return False
            choice = tuple(sorted((instance.choice | {letter: index}).items()))
            partner = self.instance_at.get((instance.equation, choice))
            if partner is None:
                return False
            theirs = self._letters(self.leaves.instances[partner])
            if theirs.get((letter, factor)) != other:
                return False
            mine = self._letters(instance)
            if not all(self._alike(v, theirs.get(k)) for k, v in mine.items() if k != (letter, factor)):
                return False
            reached.add((partner, letter, factor))
        return reached == set(self.uses[other])
