"""The terms of an objective: what is gained when the units of B stand at the places of the units of A.

A term has *slots*, one for every place where a group acts. With units a of A in the slots and b of B, it is worth
``Σ_u T[u, π(u)]``: u runs over the joint index of the slots, π is the permutation. `WeightTerm` holds T as a product of
two tensors, `Similarity` as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from graphmerge.stats import Slot
from graphmerge.symmetry import Permutations

Arrays = Mapping[str, np.ndarray]  # the permutations of pins (identities) and of all groups that are solved


@dataclass(frozen=True, eq=False)
class WeightTerm:
    """``T[u, v] = Σ_r a[u, r] · b[v, r]``; a and b have shape (slots ..., rest)."""

    a: torch.Tensor
    b: torch.Tensor
    slots: tuple[Slot, ...]

    def settle(self, keep: Sequence[int], arrays: Arrays) -> WeightTerm:
        """The same term in the slots ``keep`` alone, the others standing as ``arrays`` says.

        Where one of the others is not solved, entries are compared by rank: sorted values do not depend on order.
        """
        others = [s for s in range(len(self.slots)) if s not in keep]
        b = self.b
        known = is_known(self, others, arrays)
        for s in _bases_first(self.slots, others) if known else ():
            array = arrays[self.slots[s].group]
            if not _is_identity(array):
                b = _take(b, array, self.slots[s].over, s)
        order = [*keep, *others, len(self.slots)]
        sizes = [self.a.shape[s] for s in keep]
        x, y = (t.permute(order).reshape(*sizes, -1) for t in (self.a, b))
        if not known:
            x, y = x.sort(-1).values, y.sort(-1).values
        return WeightTerm(x, y, renumber(self.slots, keep))

    def at(self, slot: int, i: int, j: int) -> WeightTerm:
        """The part of the term where unit j of B stands at the place of unit i of A."""
        kept = [s for s in range(len(self.slots)) if s != slot]
        return WeightTerm(self.a.select(slot, i), self.b.select(slot, j), renumber(self.slots, kept))

    def similarity(self) -> Similarity:
        """T itself, in memory of the CPU: as many entries as the product of the slots' sizes, squared."""
        sizes = self.a.shape[:-1]
        x, y = (t.reshape(sizes.numel(), -1) for t in (self.a, self.b))
        t = (x @ y.mT).cpu().numpy()  # (joint unit of A, joint unit of B)
        return Similarity(t.reshape(*sizes, *sizes), self.slots)

    def value(self, arrays: Arrays) -> float:
        """What the term is worth under ``arrays``."""
        settled = self.settle((), arrays)
        return float((settled.a * settled.b).sum(dtype=torch.float64))

    @cached_property
    def bound(self) -> float:
        """No permutation is worth more (Cauchy and Schwarz)."""
        x, y = (float(t.square().sum(dtype=torch.float64)) for t in (self.a, self.b))
        return (x * y) ** 0.5

    @property
    def groups(self) -> set[str]:
        return {slot.group for slot in self.slots}

    def size(self, slot: int) -> int:
        return self.a.shape[slot]


@dataclass(frozen=True, eq=False)
class Similarity:
    """T as an array of shape (slots of A ..., slots of B ...)."""

    t: np.ndarray
    slots: tuple[Slot, ...]

    def settle(self, keep: Sequence[int], arrays: Arrays) -> Similarity:
        """The same term in the slots ``keep`` alone, the others standing as ``arrays`` says; all must be solved."""
        count = len(self.slots)
        others = [s for s in range(count) if s not in keep]
        t = self.t
        for s in _bases_first(self.slots, others):
            array = arrays[self.slots[s].group]
            if not _is_identity(array):
                t = np.take_along_axis(t, _lined_up(array, (*self.slots[s].over, count + s), t.ndim), axis=count + s)
        left = list(range(count))
        right = [s + count if s in keep else s for s in left]  # a settled slot is summed along its diagonal
        t = np.einsum(t, left + right, [*keep, *(s + count for s in keep)])
        return Similarity(t, renumber(self.slots, keep))

    def moved(self, arrays: Arrays) -> Similarity:
        """The same term once the units of A stand as ``arrays`` says; all must be solved."""
        t = self.t
        for s in _bases_first(self.slots, range(len(self.slots))):
            array = arrays[self.slots[s].group]
            if not _is_identity(array):
                t = np.take_along_axis(t, _lined_up(array, (*self.slots[s].over, s), t.ndim), axis=s)
        return Similarity(t, self.slots)

    def swapped(self) -> Similarity:
        """The same term with A and B in each other's roles."""
        count = len(self.slots)
        return Similarity(self.t.transpose(*range(count, 2 * count), *range(count)), self.slots)

    def at(self, slot: int, i: int, j: int) -> Similarity:
        """The part of the term where unit j of B stands at the place of unit i of A."""
        count = len(self.slots)
        index: list[int | slice] = [slice(None)] * (2 * count)
        index[slot], index[count + slot] = i, j
        return Similarity(self.t[tuple(index)], renumber(self.slots, [s for s in range(count) if s != slot]))

    def similarity(self) -> Similarity:
        return self

    def value(self, arrays: Arrays) -> float:
        """What the term is worth under ``arrays``."""
        return float(self.settle((), arrays).t)

    @cached_property
    def bound(self) -> float:
        """No permutation is worth more."""
        size = self.t.size and int(self.t.size**0.5)
        return float(self.t.reshape(size, size).max(axis=1).sum())

    @property
    def groups(self) -> set[str]:
        return {slot.group for slot in self.slots}

    def size(self, slot: int) -> int:
        return self.t.shape[slot]


Term = WeightTerm | Similarity


def is_known(term: Term, slots: Iterable[int], arrays: Arrays) -> bool:
    """Whether all the groups in these slots are solved (or pinned)."""
    return all(term.slots[s].group in arrays for s in slots)


def arrays_of(permutations: Permutations) -> dict[str, np.ndarray]:
    """The permutations of all groups and pins."""
    symmetry = permutations.symmetry
    pins = {p.name: np.arange(p.size) for p in symmetry.pinned if p.name is not None and p.size is not None}
    return pins | dict(permutations.arrays)


def renumber(slots: Sequence[Slot], keep: Sequence[int]) -> tuple[Slot, ...]:
    """The slots ``keep``, over those of their bases that are kept."""
    place = {s: k for k, s in enumerate(keep)}
    return tuple(Slot(slots[s].group, tuple(place[o] for o in slots[s].over if o in place)) for s in keep)


def _bases_first(slots: Sequence[Slot], chosen: Iterable[int]) -> list[int]:
    # whatever a base is over, its group is over too: bases have fewer
    return sorted(chosen, key=lambda s: len(slots[s].over))


def _is_identity(array: np.ndarray) -> bool:
    return bool((array == np.arange(array.shape[-1])).all())


def _take(b: torch.Tensor, array: np.ndarray, over: tuple[int, ...], slot: int) -> torch.Tensor:
    """``out[.., h, .., i, ..] = b[.., h, .., array[h, i], ..]``: the bases stand in their places already."""
    if not over:
        return b.index_select(slot, torch.from_numpy(np.array(array)).to(b.device))
    index = torch.from_numpy(np.array(_lined_up(array, (*over, slot), b.dim()))).to(b.device)
    return torch.take_along_dim(b, index, dim=slot)


def _lined_up(array: np.ndarray, dims: tuple[int, ...], ndim: int) -> np.ndarray:
    """``array``, whose axes are the dimensions ``dims`` of a tensor with ``ndim``, made to broadcast with that."""
    increasing = np.argsort(dims)
    sizes = [1] * ndim
    for dim, size in zip(dims, array.shape):
        sizes[dim] = size
    return array.transpose(increasing).reshape(sizes)
