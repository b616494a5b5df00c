"""One family of groups: a base and the groups over it, solved together while all others stand still.

For every pair of units of the base the groups over it are solved first, then the base on what those solutions are
worth. That is exact for one level, unless two of the inner groups meet in one term (then: ascent inside the pair).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from graphmerge.match.terms import Arrays, Similarity, Slot, Term, is_known

Solution = tuple[dict[str, np.ndarray], float]  # permutations of the groups that were unsolved, and what they are worth
Over = Mapping[str, tuple[str, ...]]
Parts = list[tuple[Term, int]]  # a term, and the slot of the root in it
Inner = Callable[[Sequence[Term], Arrays], Solution]


@dataclass(frozen=True)
class Family:
    """``root`` is a base that is over nothing; ``members`` are the moving groups, itself and those over it."""

    root: str
    members: tuple[str, ...]


def families(terms: Iterable[Term], moving: Iterable[str]) -> list[Family]:
    """Every moving group in one family: of a base that moves if it has one, else of a base that stands still."""
    over = bases_of(terms)
    moving = set(moving) & over.keys()
    found: dict[str, list[str]] = {}
    for group in over:
        if group in moving:
            outermost = [b for b in over[group] if not over[b]] or [group]
            root = next((b for b in outermost if b in moving), outermost[0])
            found.setdefault(root, []).append(group)
    return [Family(root, tuple(members)) for root, members in found.items()]


def bases_of(terms: Iterable[Term]) -> dict[str, tuple[str, ...]]:
    """For every group and pin in the slots, what it is over."""
    return {slot.group: tuple(term.slots[o].group for o in slot.over) for term in terms for slot in term.slots}


def cluster(slots: Sequence[Slot], root: int) -> list[int]:
    """A slot, all slots over it, and the other bases of those."""
    found, grown = set(), {root}
    while grown != found:
        found = grown
        above = {s for s, slot in enumerate(slots) if found & set(slot.over)}
        grown = found | above | {o for s in found | above for o in slots[s].over}
    return sorted(found)


def places(family: Family, terms: Iterable[Term]) -> list[tuple[Term, int, list[int]]]:
    """Where the family acts: a term, the slot of the root, and the cluster of that slot."""
    found = []
    for term in terms:
        for s, slot in enumerate(term.slots):
            if slot.group == family.root:
                together = cluster(term.slots, s)
                if any(term.slots[k].group in family.members for k in together):
                    found.append((term, s, together))
    return found


def is_ready(term: Term, together: Sequence[int], arrays: Arrays) -> bool:
    """Whether all that is outside of the cluster is solved."""
    return is_known(term, set(range(len(term.slots))).difference(together), arrays)


def solve_family(family: Family, terms: Sequence[Term], arrays: Arrays, inner: Inner) -> dict[str, np.ndarray]:
    """The best permutations of the members, all others standing as ``arrays`` says.

    Terms in which another group is not solved yet are left out, unless the members need them.
    """
    found = places(family, terms)
    ready = [p for p in found if is_ready(p[0], p[2], arrays)]
    if not set(family.members) <= {term.slots[s].group for term, _, together in ready for s in together}:
        ready = found
    arrays = {group: array for group, array in arrays.items() if group not in family.members}
    parts = []
    for term, slot, together in ready:
        keep = sorted({*together, *_unsolved(term, arrays)}) if isinstance(term, Similarity) else together
        parts.append((term.settle(keep, arrays), keep.index(slot)))
    over = bases_of(term for term, _ in parts)
    if family.root in family.members:
        return _solve_moving(family, parts, arrays, over, inner)
    return _solve_standing(family, parts, arrays, over, inner)


def _unsolved(term: Term, arrays: Arrays) -> set[int]:
    """Slots that are not solved: in a `Similarity` they are solved anew for every pair of units of the root."""
    return {s for s, slot in enumerate(term.slots) if slot.group not in arrays}


def _solve_moving(family: Family, parts: Parts, arrays: Arrays, over: Over, inner: Inner) -> dict[str, np.ndarray]:
    """The base moves: every pair of its units, then the assignment."""
    alike: dict[tuple[tuple[Slot, ...], int], np.ndarray] = {}
    for term, position in parts:
        key, t = (term.slots, position), term.similarity().t
        alike[key] = alike[key] + t if key in alike else t
    size = parts[0][0].size(parts[0][1])
    worth = np.zeros((size, size))
    nested = []
    for (slots, position), t in alike.items():
        if len(slots) == 1:
            worth += t
        else:
            nested.append((Similarity(t, slots), position))
    solutions = {}
    if nested:
        for i, j in itertools.product(range(size), repeat=2):
            pair = [term.at(position, i, j) for term, position in nested]
            solutions[i, j], value = inner(pair, _within(arrays, over, family.root, i))
            worth[i, j] += value
    chosen = assign(worth)
    return {family.root: chosen} | _stacked(family, [solutions[i, j] for i, j in enumerate(chosen) if nested], over)


def _solve_standing(family: Family, parts: Parts, arrays: Arrays, over: Over, inner: Inner) -> dict[str, np.ndarray]:
    """The base stands still (or is a pinned leaf): one solution for each of its units."""
    solutions = []
    for i, j in enumerate(arrays[family.root]):
        unit = [term.at(position, i, int(j)) for term, position in parts]
        solutions.append(inner(unit, _within(arrays, over, family.root, i))[0])
    return _stacked(family, solutions, over)


def assign(worth: np.ndarray) -> np.ndarray:
    """The unit of B for every unit of A that makes ``Σ_i worth[i, assign[i]]`` largest."""
    return linear_sum_assignment(worth, maximize=True)[1]


def _within(arrays: Arrays, over: Over, root: str, i: int) -> Arrays:
    """The permutations that unit i of the root leaves of those that stand."""
    return {
        group: array.take(i, axis=over[group].index(root)) if root in over.get(group, ()) else array
        for group, array in arrays.items()
    }


def _stacked(family: Family, solutions: list[dict[str, np.ndarray]], over: Over) -> dict[str, np.ndarray]:
    """The members' permutations, from those for every unit of the root."""
    inner = [group for group in family.members if group != family.root]
    return {group: np.stack([s[group] for s in solutions], axis=over[group].index(family.root)) for group in inner}
