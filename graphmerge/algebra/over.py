"""Groups over groups: which other factors of its tensor may choose the permutation of a factor.

For each equation and letter s, take the letters that accompany s in every term that has s; intersect over all
equations. The relation is kept per occurrence (which axis indexes s), so that a tensor may carry the base twice.

Constants have no say: what moves freely is a letter along which they do not vary (stage 2 pins the others), so they
are the same whichever permutation a base chooses, though they lack that base (a causal mask that all heads share).
"""

from __future__ import annotations

from collections import defaultdict, deque

from graphmerge.algebra.choices import LetterKey
from graphmerge.algebra.leaves import Instance, Leaves


class Over:
    """Greatest fixpoint of the relation "may depend on", as a bit mask over the dims of each occurrence's box."""

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self.mask: list[int] = []
        for box in leaves.boxes:
            wide = sum(1 << d for d, n in enumerate(box.sizes) if n > 1)
            self.mask += [wide & ~(1 << d) for d in range(len(box.sizes))]
        self._settle()

    def _settle(self) -> None:
        users: dict[int, list[int]] = defaultdict(list)
        for number, instance in enumerate(self.leaves.instances):
            for box in set(instance.boxes):
                users[box].append(number)
        queue = deque(range(len(self.leaves.instances)))
        queued = set(queue)
        while queue:
            number = queue.popleft()
            queued.discard(number)
            for box in self._restrict(self.leaves.instances[number]):
                for other in users[box]:
                    if other not in queued:
                        queued.add(other)
                        queue.append(other)

    def is_constant(self, box: int) -> bool:
        return self.leaves.system.tensors[self.leaves.boxes[box].tensor].kind == "constant"

    def _restrict(self, instance: Instance) -> set[int]:
        """Apply one equation; the boxes where something changed."""
        allowed: dict[LetterKey, set[LetterKey]] = {}
        terms = [(n, x) for n, x in zip(instance.boxes, instance.letters) if not self.is_constant(n)]
        for number, letters in terms:
            first = self.leaves.boxes[number].first
            for dim, key in enumerate(letters):
                if key is None:
                    continue
                mask = self.mask[first + dim]
                here = {k for d, k in enumerate(letters) if mask >> d & 1 and k is not None}
                allowed[key] = allowed[key] & here if key in allowed else here
        changed = set()
        for number, letters in terms:
            first = self.leaves.boxes[number].first
            for dim, key in enumerate(letters):
                keep = sum(1 << d for d, k in enumerate(letters) if key is not None and k in allowed[key])
                if self.mask[first + dim] & ~keep:
                    self.mask[first + dim] &= keep
                    changed.add(number)
        return changed

    def dims(self, occurrence: int) -> list[int]:
        """Dims of the same box that may choose the permutation of this occurrence."""
        return [d for d in range(self.mask[occurrence].bit_length()) if self.mask[occurrence] >> d & 1]


class Slots:
    """The bases of each leaf, numbered alike at all its occurrences.

    A slot is a class of (occurrence, dim of its box) pairs that equations link. A slot whose dims are not all of one
    leaf, or that meets one occurrence twice, is dropped: less freedom, never a wrong one.
    """

    def __init__(self, over: Over) -> None:
        self._parent: dict[tuple[int, int], tuple[int, int]] = {}
        self.leaves = over.leaves
        self.occurrences = [o for o, box in enumerate(self.leaves.occurrence_box) if not over.is_constant(box)]
        for occurrence in self.occurrences:
            for dim in over.dims(occurrence):
                self._parent[occurrence, dim] = (occurrence, dim)
        for instance in self.leaves.instances:
            self._link(instance)

    def _find(self, pair: tuple[int, int]) -> tuple[int, int]:
        while self._parent[pair] != pair:
            self._parent[pair] = pair = self._parent[self._parent[pair]]
        return pair

    def _link(self, instance: Instance) -> None:
        seen: dict[tuple[LetterKey, LetterKey], tuple[int, int]] = {}
        for number, letters in zip(instance.boxes, instance.letters):
            first = self.leaves.boxes[number].first
            for dim, key in enumerate(letters):
                for base, base_key in enumerate(letters):
                    pair = (first + dim, base)
                    if key is None or base_key is None or pair not in self._parent:
                        continue
                    a, b = self._find(seen.setdefault((key, base_key), pair)), self._find(pair)
                    self._parent[max(a, b)] = min(a, b)

    def by_leaf(self) -> dict[int, list[dict[int, int]]]:
        """For each leaf (its root): a list of slots, each mapping occurrence -> dim."""
        slots: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        bad: set[tuple[int, int]] = set()
        bases: dict[tuple[int, int], set[int]] = defaultdict(set)
        for occurrence, dim in self._parent:
            root = self._find((occurrence, dim))
            if occurrence in slots[root]:
                bad.add(root)
            slots[root][occurrence] = dim
            box = self.leaves.boxes[self.leaves.occurrence_box[occurrence]]
            bases[root].add(self.leaves.find(box.first + dim))
        found: dict[int, list[dict[int, int]]] = defaultdict(list)
        members: dict[int, int] = defaultdict(int)
        for occurrence in self.occurrences:
            members[self.leaves.find(occurrence)] += 1
        for root, slot in slots.items():
            leaf = self.leaves.find(root[0])
            if root not in bad and len(bases[root]) == 1 and len(slot) == members[leaf]:
                found[leaf].append(slot)
        return found
