"""Which axes move together: permuting them in the arguments permutes the results, and no smaller set does.

A result of the search is a *tie*: axes of arguments, and the axes of results that follow them (none: the op is
invariant, as a sum is). An axis without a tie is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations

import torch

from graphmerge.rules.probe.sizes import Axis
from graphmerge.rules.probe.subject import NotInferred, Subject, close
from graphmerge.rules.probe.trials import Evidence, Trial

Tie = tuple[Axis, ...]  # axes of arguments, then of results; results are numbered after the arguments
MANY = 10  # axes of one size, beyond which only those in the same place are tried together


def find_ties(subject: Subject, evidence: Evidence) -> list[Tie]:
    """Ties in the order of their first axes; no axis is in two."""
    sizes = _axis_sizes(evidence.trials)
    slots = len(subject.slots)
    free = [a for a in sizes if a[0] < slots and evidence.live[a[0]] and not subject.slots[a[0]].fixed]
    ties: list[Tie] = []
    used: set[Axis] = set()
    for axis in free:
        if axis in used:
            continue
        alike = [a for a in free if a not in used and a != axis and sizes[a] == sizes[axis]]
        results = [a for a in sizes if a[0] >= slots and a not in used and sizes[a] == sizes[axis]]
        for others in _companions(axis, alike, evidence.trials[0]):
            tie = _tie(subject, evidence, (axis, *others), results)
            if tie is not None:
                tie = _least(subject, evidence, axis, tie, results)
                ties.append(tie)
                used |= set(tie)
                break
    return ties


def _axis_sizes(trials: Sequence[Trial]) -> dict[Axis, tuple[int, ...]]:
    """Every axis with its size in every trial; those of size 1 are no axes."""
    first = trials[0].tensors
    found = {(k, d): tuple(t.tensors[k].shape[d] for t in trials) for k, x in enumerate(first) for d in range(x.dim())}
    return {axis: sizes for axis, sizes in found.items() if min(sizes) > 1}


def _companions(axis: Axis, alike: list[Axis], trial: Trial) -> Iterator[tuple[Axis, ...]]:
    """Sets of axes that may have to move along, small ones first."""
    most = 2 if len(alike) <= MANY else 0
    yield from chain.from_iterable(combinations(alike, n) for n in range(most + 1))
    rank = [x.dim() for x in trial.tensors]
    right = tuple(a for a in alike if a[0] != axis[0] and rank[a[0]] - a[1] == rank[axis[0]] - axis[1])
    left = tuple(a for a in alike if a[0] != axis[0] and a[1] == axis[1])
    yield from dict.fromkeys(c for c in (right, left, tuple(alike)) if len(c) > most)


def _least(subject: Subject, evidence: Evidence, axis: Axis, tie: Tie, results: list[Axis]) -> Tie:
    """Leave out axes of arguments that need not move along."""
    slots = len(subject.slots)
    if sum(a[0] < slots for a in tie) <= 3:  # smaller sets were tried before it
        return tie
    for extra in [a for a in tie if a[0] < slots and a != axis]:
        fewer = _tie(subject, evidence, tuple(a for a in tie if a[0] < slots and a != extra), results)
        tie = fewer or tie
    return tie


def _tie(subject: Subject, evidence: Evidence, axes: Tie, results: list[Axis]) -> Tie | None:
    """The axes with those of the results that follow them in every trial; None if there are none."""
    followers: list[list[Tie]] | None = None
    for number, trial in enumerate(evidence.search):
        order = derangement(trial.tensors[axes[0][0]].shape[axes[0][1]], number)
        found = attempt(subject, [_moved(v, k, axes, order) for k, v in enumerate(trial.values)])
        if found is None:
            return None
        if followers is None:
            followers = [_subsets(k + len(trial.values), results) for k in range(len(found))]
        for k, result in enumerate(found):
            before = trial.results[k]
            followers[k] = [s for s in followers[k] if close(_moved(before, len(trial.values) + k, s, order), result)]
            if not followers[k]:
                return None
    assert followers is not None
    return (*axes, *chain.from_iterable(options[0] for options in followers))


def _subsets(tensor: int, results: list[Axis]) -> list[Tie]:
    own = [a for a in results if a[0] == tensor]
    return list(chain.from_iterable(combinations(own, n) for n in range(len(own) + 1)))


def _moved(value: torch.Tensor, tensor: int, axes: Tie, order: torch.Tensor) -> torch.Tensor:
    for k, dim in axes:
        if k == tensor:
            value = value.index_select(dim, order)
    return value


def derangement(size: int, seed: int) -> torch.Tensor:
    """A random permutation of one cycle or, every other time, of two: both signs, and all units move (2 of 3 units)."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    cut = size // 2 if seed % 2 and size > 2 else size
    moved = torch.empty_like(order)
    for cycle in (order[:cut], order[cut:]):
        moved[cycle] = cycle.roll(1)
    return moved


def attempt(subject: Subject, values: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """Results, or None where the op raises.

    Raises:
        NotInferred: see `Subject.run`.
    """
    try:
        return subject.run(values)
    except NotInferred:
        raise
    except Exception:  # it ran before on the same entries in another order
        return None
