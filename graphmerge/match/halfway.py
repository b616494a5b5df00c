"""The loss halfway between two models: what a match is judged by."""

from __future__ import annotations

import copy

import torch

from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch
from graphmerge.evaluate.evaluate import measure
from graphmerge.evaluate.loss import DefaultLoss, Loss
from graphmerge.match.ascent import quiet
from graphmerge.merge import interpolate
from graphmerge.merge.inputs import Input
from graphmerge.symmetry import Permutations


class Halfway:
    """The loss halfway between A and permuted B, above the mean of theirs, on some of the batches; 0 if not above.

    ``others`` are the batches that are not measured on, for whoever learns from the loss; the same where there are two
    or fewer.
    """

    def __init__(self, a: Input, b: Input, batches: list[Batch], loss: Loss | None, device: torch.device) -> None:
        module = a.module or b.module
        if module is None:
            raise InputError("two state dicts cannot be run")
        self.a, self.b, self.device = a, b, device
        self.batches = held_out(batches)
        self.others = batches[len(self.batches) :] or batches
        self.loss = loss or DefaultLoss()
        self.model = copy.deepcopy(module).to(device).eval()
        self.ends = (self._measure(a.state) + self._measure(b.state)) / 2

    def barrier(self, permutations: Permutations) -> float:
        """The loss halfway above the mean of both ends, in the unit of the loss; 0 if below."""
        return max(0.0, self._measure(interpolate(self.a.state, permutations.apply(self.b.state), 0.5)) - self.ends)

    def _measure(self, state: dict[str, torch.Tensor]) -> float:
        self.model.load_state_dict(state)
        return measure(self.model, self.batches, self.loss, self.device, quiet).loss


def held_out(batches: list[Batch]) -> list[Batch]:
    """Those that a match is judged on."""
    return batches[: max(2, min(8, len(batches) // 3))]
