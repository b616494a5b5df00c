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

Masks = tuple[int, ...]  # of each dim of a box
Letters = tuple[LetterKey | None, ...]


def _restricted(terms: list[Letters], masks: tuple[Masks, ...]) -> tuple[Masks, ...]:
    """The masks that are left: a letter may depend on another only where it may in every term that has it."""
    allowed: dict[LetterKey, set[LetterKey]] = {}
    for letters, mask in zip(terms, masks):
        for dim, key in enumerate(letters):
            if key is None:
                continue
            here = {k for d, k in enumerate(letters) if mask[dim] >> d & 1 and k is not None}
            allowed[key] = allowed[key] & here if key in allowed else here
    return tuple(
        tuple(
            mask[dim] & sum(1 << d for d, k in enumerate(letters) if key is not None and k in allowed[key])
            for dim, key in enumerate(letters)
        )
        for letters, mask in zip(terms, masks)
    )


class Over:
    """Greatest fixpoint of the relation "may depend on", as a bit mask over the dims of each occurrence's box."""

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self.mask: list[int] = []
        self._known: dict[tuple[object, ...], tuple[Masks, ...]] = {}
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
        """Apply one equation; the boxes where something changed. What it does depends on letters and masks alone."""
        terms = [(n, x) for n, x in zip(instance.boxes, instance.letters) if not self.is_constant(n)]
        spans = [(self.leaves.boxes[number].first, len(letters)) for number, letters in terms]
        masks = tuple([tuple(self.mask[first : first + count]) for first, count in spans])
        key = (*[id(letters) for _, letters in terms], masks)
        if key not in self._known:
            self._known[key] = _restricted([letters for _, letters in terms], masks)
        changed = set()
        for (number, _), (first, _), before, after in zip(terms, spans, masks, self._known[key]):
            if before != after:
                for dim, mask in enumerate(after):
                    self.mask[first + dim] &= mask
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
