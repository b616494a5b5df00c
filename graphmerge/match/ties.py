"""What activations leave open is decided by weights.

A group that no tap reads (behind a router each model sends its own tokens), units that do not vary on the data (a ReLU
that never fires), units that vary alike: for those, weights are added with so small a factor that nothing else moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from graphmerge.match.ascent import Ascent
from graphmerge.match.terms import Arrays, Similarity, WeightTerm, arrays_of
from graphmerge.symmetry import Permutations

TIED = 1e-6  # similarities are alike that differ by less than this share of the largest
FACTOR = 1e-4  # how much weights count beside activations


def open_groups(terms: Sequence[Similarity], found: Permutations, groups: Iterable[str]) -> tuple[str, ...]:
    """The groups that no term reads, or two of whose units are as similar to each other's partners as to their own.

    With a base all the groups over it are open.
    """
    standing = arrays_of(found)
    left = {g for g in groups if not any(g in t.groups for t in terms) or _is_tied(g, terms, found, standing)}
    return tuple(g for g in groups if g in left or left & set(found.symmetry[g].over))


def _is_tied(group: str, terms: Sequence[Similarity], found: Permutations, standing: Arrays) -> bool:
    places = [(t, s) for t in terms for s, slot in enumerate(t.slots) if slot.group == group]
    sources = found.source_bases(group)
    for index in np.ndindex(found.arrays[group].shape[:-1]):
        pairs = [(i, int(source[index])) for i, source in zip(index, sources)]
        worth = np.sum([_between(term, s, pairs, standing) for term, s in places], axis=0)  # (unit of A, unit of B)
        partners = worth[:, found.arrays[group][index]]  # (unit of A, partner of unit of A)
        alike = abs(partners - np.diag(partners)[:, None]) <= TIED * abs(worth).max()
        if (alike & alike.T).sum() > len(alike):  # more than every unit with itself
            return True
    return False


def _between(term: Similarity, slot: int, pairs: list[tuple[int, int]], standing: Arrays) -> np.ndarray:
    """The similarity of the units in a slot, given the units of A and B in the slots that it is over."""
    over = term.slots[slot].over
    part = term.settle([*over, slot], standing)
    for i, j in pairs:
        part = part.at(0, i, j)
    return part.t


def decide(
    terms: Sequence[Similarity], weights: Sequence[WeightTerm], found: Permutations, groups: Iterable[str]
) -> Permutations:
    """``found`` with the ``groups`` solved again, by the terms and a little by the weights; all others stand."""
    moving = set(groups)
    read = [t for t in terms if t.groups & moving]
    held = [w for w in weights if w.groups & moving]
    largest = max((float(abs(t.t).max()) for t in read), default=1.0)
    # then all weights together are worth at most `FACTOR` of the largest similarity for every unit
    units = sum(found.arrays[g].size for g in moving)
    scale = FACTOR * largest * units / (sum(w.bound for w in held) or 1)
    standing = {name: array for name, array in arrays_of(found).items() if name not in moving}
    ascent = Ascent([*read, *(replace(w, a=w.a * scale) for w in held)], moving, standing)
    ascent.start()
    ascent.climb(sweeps=10)
    return Permutations(found.symmetry, dict(found.arrays) | {g: ascent.arrays[g] for g in moving})
