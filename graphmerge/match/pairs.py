"""What one of several models gains from each order of its units, while the others stand still.

The objective of several models is the sum over all pairs of what two are worth together. In the permutations of one
model it is linear, as that of a pair: the others, in the order that they have reached, count as one model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from graphmerge.match.stages import Stage
from graphmerge.match.terms import Similarity, Term, WeightTerm, arrays_of
from graphmerge.match.weights import State, weight_terms
from graphmerge.stats import Slot
from graphmerge.symmetry import Permutations, Symmetry

Placed = Mapping[int, Permutations]  # models by their numbers, each with what moves it onto its place


class Pairs(Protocol):
    """The pairs of several models."""

    @property
    def stages(self) -> tuple[frozenset[str], ...]:
        """The groups that each stage solves."""
        ...

    def terms(self, stage: int, model: int, others: Placed) -> Sequence[Term]:
        """What a stage counts between the others, as one model A, and this one as B."""
        ...


@dataclass(frozen=True, eq=False)
class WeightPairs:
    """``Σ over pairs of ⟨Pᵢ·Aᵢ, Pⱼ·Aⱼ⟩``: to one model the others count by their sum."""

    states: Sequence[State]
    symmetry: Symmetry
    device: torch.device

    @property
    def stages(self) -> tuple[frozenset[str], ...]:
        """One, of all groups."""
        return (frozenset(self.symmetry.by_name),)

    def terms(self, stage: int, model: int, others: Placed) -> list[WeightTerm]:
        """The terms of the others' sum and the model."""
        total: dict[str, torch.Tensor] = {}
        for n, permutations in others.items():
            own = {key: self.states[n][key] for key in self.symmetry.layout}
            for key, tensor in permutations.apply(own).items():
                if tensor.is_floating_point() or tensor.is_complex():
                    wide = tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))
                    total[key] = total[key] + wide if key in total else wide
                else:
                    total[key] = tensor
        return weight_terms(total, self.states[model], self.symmetry, self.device)


@dataclass(frozen=True, eq=False)
class ActivationPairs:
    """The sum over pairs and taps of the similarity of units; ``found`` has the stages of each pair (i, j), i < j."""

    found: Mapping[tuple[int, int], tuple[Stage, ...]]

    @property
    def stages(self) -> tuple[frozenset[str], ...]:
        """Those of every pair."""
        return tuple(stage.groups for stage in next(iter(self.found.values())))

    def terms(self, stage: int, model: int, others: Placed) -> list[Similarity]:
        """One term for all taps, and all others, that have the same slots: what is linear is added."""
        total: dict[tuple[tuple[Slot, ...], tuple[int, ...]], Similarity] = {}
        for n, permutations in others.items():
            arrays, swap = arrays_of(permutations), n > model
            for term in self.found[min(n, model), max(n, model)][stage].terms:
                assert isinstance(term, Similarity), "activations have no other terms"
                moved = (term.swapped() if swap else term).moved(arrays)
                key = (moved.slots, moved.t.shape)
                total[key] = replace(moved, t=total[key].t + moved.t) if key in total else moved
        return list(total.values())
