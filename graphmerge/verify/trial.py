"""One traced run in float64 with redrawn weights, to be repeated with weights that a symmetry has moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from graphmerge.errors import ArchitectureMismatch, TraceError
from graphmerge.graph.storage import canonical_names
from graphmerge.symmetry import Symmetry
from graphmerge.trace.capture import state_of
from graphmerge.trace.inputs import Inputs, lengths
from graphmerge.trace.program import Program
from graphmerge.trace.sizes import SIZES, trace_once
from graphmerge.verify.double import change, run_double
from graphmerge.verify.draw import draw_inputs, draw_weights, padded

VISIBLE = 1e-3  # what is broken on purpose must change some output by at least this
GAINS = (1.0, 2.0, 0.5)  # other weights may show what the first do not


class Trial:
    """One traced run with its redrawn weights, to be repeated with permuted ones."""

    def __init__(
        self,
        model: torch.nn.Module,
        symmetry: Symmetry,
        inputs: Inputs,
        outputs: tuple[str, ...] | None,
        seed: int,
        gain: float = GAINS[0],
    ) -> None:
        self.symmetry = symmetry
        self.keys = canonical_names(model)
        if missing := [key for key in symmetry.layout if key not in self.keys]:
            raise ArchitectureMismatch(f"the symmetry moves {missing[0]!r}, which {type(model).__name__} does not have")
        self.state = state_of(model)
        self.seed, self.gain = seed, gain
        self.program, self.weights, self.inputs, self.before = self._first_run(model, inputs, outputs)

    def _first_run(
        self, model: torch.nn.Module, inputs: Inputs, outputs: tuple[str, ...] | None
    ) -> tuple[Program, dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        failure: Exception | None = None
        for tried in _third_sizes(model, inputs):
            try:
                program = trace_once(model, padded(model, tried), outputs)
                generator = torch.Generator().manual_seed(self.seed)
                weights = draw_weights(program, self.state, generator, self.gain)
                drawn = draw_inputs(program, generator)
                return program, weights, drawn, run_double(program, weights, drawn)
            except (TraceError, RuntimeError, IndexError) as error:
                failure = failure or error
        raise TraceError(f"the traced model could not be run in float64: {failure}")

    @property
    def given(self) -> dict[str, torch.Tensor]:
        """The redrawn weights under every key of the state dict."""
        return {key: self.weights[name] for key, name in self.keys.items()}

    def change(self, moved: Mapping[str, torch.Tensor]) -> float:
        """Relative change of the outputs with other weights, given under every key of the state dict."""
        weights: dict[str, torch.Tensor] = {}
        for key, name in self.keys.items():
            one = weights.setdefault(name, moved[key])
            if one is not moved[key] and not torch.equal(one, moved[key]):
                return float("inf")  # one tensor, moved differently under two of its names
        return change(self.before, run_double(self.program, self.weights | weights, self.inputs))

    def aliases(self, key: str) -> list[str]:
        """All keys of the tensor that ``key`` names."""
        return [other for other, name in self.keys.items() if name == self.keys[key]]


def _third_sizes(model: torch.nn.Module, inputs: Inputs) -> Iterator[Inputs]:
    """Lengths that the derivation did not use first, then the others, then the inputs as they are."""
    if inputs.length is not None:
        every = list(lengths(model, inputs))
        for length in every[SIZES:] + every[:SIZES]:
            yield inputs.resized(length)
    yield inputs
