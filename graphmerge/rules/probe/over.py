"""Which axes may be permuted differently for each unit of which others: the "over" of ties, and its virtual terms.

In the algebra a letter s is over the letters that accompany it in *every* term that has s, and a group of s has one
permutation of s for each index of those. So what an equation allows is decided letter pair by letter pair: s over t is
tried for each pair, with permutations of s that depend on t alone. A pair that fails is forbidden by a virtual term:
s, and the letters that it may be over, and no other.

Do pairs suffice? A permutation of s that depends on t and u is no product of those that depend on one of them, if s has
two units; so at the end random elements of all that the equation allows, each letter over all its bases at once, must
leave the op unchanged. If they do not, no letter may be over any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from graphmerge.rules.probe.sizes import Axis
from graphmerge.rules.probe.subject import Subject, close
from graphmerge.rules.probe.ties import Tie, attempt
from graphmerge.rules.probe.trials import Evidence, Trial

FULL = 2**16  # entries up to which each index gets a permutation of its own kind; beyond, turns of a common one


@dataclass
class Letters:
    """Letters on the axes of arguments and results, and what each may be over.

    ``free`` letters are ties; ``pinned`` ones may not move, but others may be over them.
    """

    free: dict[str, Tie]
    pinned: dict[str, Tie]

    def on(self, tensor: int) -> dict[str, list[int]]:
        """Dims of one tensor by letter."""
        found: dict[str, list[int]] = {}
        for letter, axes in (*self.free.items(), *self.pinned.items()):
            for k, dim in axes:
                if k == tensor:
                    found.setdefault(letter, []).append(dim)
        return found

    def tensors(self, letter: str) -> list[int]:
        axes = self.free.get(letter) or self.pinned[letter]
        return sorted({k for k, _ in axes})

    def once(self, letter: str) -> bool:
        """Is it on one axis of each tensor that has it? A matrix may have one letter twice."""
        axes = self.free.get(letter) or self.pinned[letter]
        return len({k for k, _ in axes}) == len(axes)

    def companions(self, letter: str) -> list[str]:
        """Letters in every term that has this one: those that the algebra lets it be over."""
        common = set.intersection(*(set(self.on(k)) for k in self.tensors(letter))) - {letter}
        return [t for t in (*self.free, *self.pinned) if t in common]

    def candidates(self, letter: str) -> list[str]:
        """Companions that it can be tried over: both are on one axis of each term."""
        here = [self.on(k) for k in self.tensors(letter)]
        if not self.once(letter):
            return []
        return [t for t in self.companions(letter) if all(len(dims[t]) == 1 for dims in here)]


Turns = Mapping[str, tuple[tuple[str, ...], torch.Tensor]]  # letter -> its bases, and (bases ..., letter) permutations


def bases_of(subject: Subject, evidence: Evidence, letters: Letters) -> dict[str, tuple[str, ...]]:
    """The letters that each free letter may be over, tried pair by pair."""
    found = {}
    for s in letters.free:
        found[s] = tuple(t for t in letters.candidates(s) if holds(subject, evidence.search, letters, {s: (t,)}))
    return found


def holds(
    subject: Subject, trials: Sequence[Trial], letters: Letters, bases: Mapping[str, tuple[str, ...]], seed: int = 0
) -> bool:
    """Do random permutations of these letters, for each index of their bases another, leave the op unchanged?"""
    for number, trial in enumerate(trials):
        turns = {s: (over, _turns(trial, letters, s, over, seed + 31 * number)) for s, over in bases.items()}
        moved = [_applied(x, letters.on(k), turns) for k, x in enumerate(trial.tensors)]
        count = len(trial.values)
        found = attempt(subject, moved[:count])
        if found is None or len(found) != len(trial.results) or not all(map(close, moved[count:], found)):
            return False
    return True


def all_hold(subject: Subject, evidence: Evidence, letters: Letters, bases: Mapping[str, tuple[str, ...]]) -> bool:
    """Do random elements of all that the equation will allow leave the op unchanged, in every trial?"""
    again = evidence.small if evidence.is_large else evidence.trials
    return holds(subject, evidence.trials, letters, bases, 1000) and holds(subject, again, letters, bases, 2000)


def _turns(trial: Trial, letters: Letters, letter: str, over: tuple[str, ...], seed: int) -> torch.Tensor:
    """(bases ..., letter): a permutation for each index of the bases."""
    g = torch.Generator().manual_seed(7919 + seed + sum(map(ord, letter)))
    *lead, size = (_size(trial, letters, x) for x in (*over, letter))
    count = int(torch.Size(lead).numel())
    if count * size <= FULL:
        return torch.rand((*lead, size), generator=g).argsort(-1)
    first = torch.randperm(size, generator=g)
    shift = torch.randint(size, (*lead, 1), generator=g)
    return first[(torch.arange(size) + shift) % size]


def _size(trial: Trial, letters: Letters, letter: str) -> int:
    k, dim = (letters.free.get(letter) or letters.pinned[letter])[0]
    return trial.tensors[k].shape[dim]


def _applied(value: torch.Tensor, dims: Mapping[str, list[int]], turns: Turns) -> torch.Tensor:
    for letter, (over, order) in turns.items():
        for dim in dims.get(letter, []):
            if not over:
                value = value.index_select(dim, order)
                continue
            places = [*(dims[t][0] for t in over), dim]
            shape = [value.shape[d] if d in places else 1 for d in range(value.dim())]
            index = order.permute([places.index(d) for d in sorted(places)]).reshape(shape)
            value = torch.take_along_dim(value, index, dim)
    return value


def shared_pins(subject: Subject, evidence: Evidence, letters: Letters, pinned: Sequence[Axis]) -> dict[str, Tie]:
    """Pinned axes that are one axis to some letter: it may be over them, as in ``y[s, t] = c[t] x[s, t]``.

    For a free letter, one pinned axis of equal size in the same place, from the left or from the right, of every tensor
    that has it; it is one axis if the letter may depend on it.
    """
    found: dict[str, Tie] = {}
    for s in letters.free:
        if not letters.once(s):
            continue
        tensors = letters.tensors(s)
        for start in [a for a in pinned if a[0] == tensors[0]]:
            for axes in _alike(evidence, start, tensors, pinned):
                joined = _joined(found, start, axes)
                if joined is not None and holds(
                    subject, evidence.search, Letters(letters.free, found | joined), {s: tuple(joined)}
                ):
                    found |= joined
                    break
    return found


def _joined(found: Mapping[str, Tie], start: Axis, axes: Tie) -> dict[str, Tie] | None:
    """A pinned letter with these axes: that of ``start`` if it has one; None if others have some of the axes."""
    name = next((p for p, own in found.items() if start in own), f"p{len(found)}")
    known = found.get(name, ())
    taken = {a for p, own in found.items() if p != name for a in own}
    places = dict(known)
    if taken & set(axes) or any(places.get(k, dim) != dim for k, dim in axes):
        return None
    return {name: tuple(dict.fromkeys((*known, *axes)))}


def _alike(evidence: Evidence, start: Axis, tensors: Sequence[int], pinned: Sequence[Axis]) -> list[Tie]:
    def sizes(axis: Axis) -> list[int]:
        return [t.tensors[axis[0]].shape[axis[1]] for t in evidence.trials]

    rank = [x.dim() for x in evidence.trials[0].tensors]
    left = tuple((k, start[1]) for k in tensors)
    right = tuple((k, rank[k] - rank[start[0]] + start[1]) for k in tensors)
    return [c for c in dict.fromkeys((left, right)) if all(a in pinned and sizes(a) == sizes(start) for a in c)]
