"""What is certified: the model as it is, or a tiny copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch

from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs
from graphmerge.verify.copies import Changes, can_shrink, small_copy, without_weights

SMALL: Final = 20_000  # parameters; a model with fewer is certified as it is
LENGTHS: Final = (2, 3, 5)  # positions to count at


@dataclass(frozen=True)
class Subject:
    """A model with inputs, and the settings of its config that were made small (from, to)."""

    model: torch.nn.Module
    inputs: Inputs
    shrunk: Changes

    def at_lengths(self) -> Iterator[Inputs]:
        """The inputs at the lengths to count at, as far as the model runs on them, and last as they are."""
        given = self.inputs.length
        for length in LENGTHS if given is not None else ():
            inputs = self.inputs if length == given else self.inputs.resized(length)
            if length == given or _runs(self.model, inputs):
                yield inputs
        if given not in LENGTHS:
            yield self.inputs


def subject_of(model: torch.nn.Module, example_inputs: Any, shrinking: bool) -> Subject:
    """The model as it is; if it is large or has no weights, and has a config that can be made small, a tiny copy.

    Raises:
        TraceError: no inputs are known for the model.
    """
    if shrinking and (_size(model) > SMALL or without_weights(model)) and can_shrink(model):
        copy = small_copy(model, example_inputs)
        return Subject(copy.model, copy.inputs, copy.shrunk)
    return Subject(model, default_inputs(model) if example_inputs is None else Inputs.of(example_inputs), {})


def _size(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _runs(model: torch.nn.Module, inputs: Inputs) -> bool:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(*inputs.args, **inputs.kwargs)
    except Exception:  # whatever it is, other lengths may do
        return False
    finally:
        model.train(training)
    return True
