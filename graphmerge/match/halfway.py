"""The loss halfway between two models, or in the middle of several: what a match is judged by."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch
from graphmerge.evaluate.evaluate import measure
from graphmerge.evaluate.loss import DefaultLoss, Loss
from graphmerge.match.ascent import quiet
from graphmerge.merge.combine import combine_states
from graphmerge.merge.inputs import Input, align
from graphmerge.symmetry import Permutations


class Middle:
    """The loss of the mean of aligned models, above the mean of their losses, on some of the batches; 0 if not above.

    ``others`` are the batches that are not measured on, for whoever learns from the loss; the same where there are two
    or fewer.
    """

    def __init__(self, inputs: Sequence[Input], batches: list[Batch], loss: Loss | None, device: torch.device) -> None:
        module = next((model.module for model in inputs if model.module is not None), None)
        if module is None:
            raise InputError("state dicts alone cannot be run")
        self.inputs, self.device = inputs, device
        self.batches = held_out(batches)
        self.others = batches[len(self.batches) :] or batches
        self.loss = loss or DefaultLoss()
        self.model = copy.deepcopy(module).to(device).eval()
        self.ends = sum(self._measure(model.state) for model in inputs) / len(inputs)

    def barrier(self, permutations: Permutations | Sequence[Permutations]) -> float:
        """The loss in the middle above the mean of all ends, in the unit of the loss; 0 if below.

        One of ``permutations`` for each model after the first.
        """
        states = align(self.inputs, permutations)
        return max(0.0, self._measure(combine_states(states, [1 / len(states)] * len(states))) - self.ends)

    def _measure(self, state: dict[str, torch.Tensor]) -> float:
        self.model.load_state_dict(state)
        return measure(self.model, self.batches, self.loss, self.device, quiet).loss


class Halfway(Middle):
    """The loss halfway between A and permuted B."""

    def __init__(self, a: Input, b: Input, batches: list[Batch], loss: Loss | None, device: torch.device) -> None:
        super().__init__((a, b), batches, loss, device)
        self.a, self.b = a, b


def held_out(batches: list[Batch]) -> list[Batch]:
    """Those that a match is judged on."""
    return batches[: max(2, min(8, len(batches) // 3))]
