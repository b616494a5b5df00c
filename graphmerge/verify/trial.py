"""One traced run in float64 with redrawn weights, to be repeated with weights that a symmetry has moved."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping

import torch

from graphmerge.errors import ArchitectureMismatch, TraceError
from graphmerge.graph.storage import canonical_names
from graphmerge.symmetry import Symmetry
from graphmerge.trace.capture import state_of
from graphmerge.trace.inputs import Inputs, lengths
from graphmerge.trace.program import Program
from graphmerge.trace.sizes import SIZES, trace_once
from graphmerge.verify.double import Recorded, change
from graphmerge.verify.draw import draw_inputs, draw_weights, padded

VISIBLE = 1e-3  # what is broken on purpose must change some output by at least this
# Other weights may show what the first do not. In deep models tokens grow alike, and attention over tokens that are
# alike shows nothing: a small gain keeps them apart, and what is looked for is drawn louder than the rest.
OTHER_DRAWS = ((0.5, 8.0), (2.0, 1.0), (0.5, 1.0))  # gain; factor for the matrices of the groups that are looked for


class Trial:
    """One traced run with its redrawn weights, to be repeated with permuted ones."""

    def __init__(
        self,
        model: torch.nn.Module,
        symmetry: Symmetry,
        inputs: Inputs,
        outputs: tuple[str, ...] | None,
        seed: int,
    ) -> None:
        self.keys = canonical_names(model)
        self.symmetry = symmetry = symmetry.within(self.keys)
        if missing := [key for key in symmetry.layout if key not in self.keys]:
            raise ArchitectureMismatch(f"the symmetry moves {missing[0]!r}, which {type(model).__name__} does not have")
        self.state = state_of(model)
        self.seed = seed
        self.program, self.run = self._first_run(model, inputs, outputs)

    def _first_run(
        self, model: torch.nn.Module, inputs: Inputs, outputs: tuple[str, ...] | None
    ) -> tuple[Program, Recorded]:
        failure: Exception | None = None
        sizes = list(_third_sizes(model, inputs))
        for tried in (*(padded(model, size) for size in sizes), inputs):  # at last without a mask
            try:
                program = trace_once(model, tried, outputs)
                return program, self._drawn(program, self.seed)
            except (TraceError, RuntimeError, IndexError) as error:
                failure = failure or error
        raise TraceError(f"the traced model could not be run in float64: {failure}")

    def _drawn(
        self, program: Program, seed: int, gain: float = 1.0, loud: Mapping[str, float] | None = None
    ) -> Recorded:
        """With inputs drawn anew; with ids as they were given, where the traced model does not take others."""
        generator = torch.Generator().manual_seed(seed)
        weights = draw_weights(program, self.state, generator, gain, loud or {})
        drawn = draw_inputs(program, generator)
        try:
            return Recorded(program, weights, drawn)
        except (TraceError, RuntimeError, IndexError):  # ids that stand for pictures, say: as many as there are parts
            ids = {k: t.cpu() for k, t in program.example.tensors.items() if not t.is_floating_point()}
            if all(torch.equal(t, drawn[k]) for k, t in ids.items()):
                raise
            return Recorded(program, weights, drawn | ids)

    def redrawn(self, number: int, groups: Iterable[str]) -> Trial:
        """The same with other weights, of those that `OTHER_DRAWS` lists by number, in which ``groups`` should show."""
        gain, factor = OTHER_DRAWS[number]
        members = [axis.tensor for name in groups for axis in self.symmetry[name].members]
        other = copy.copy(self)
        other.seed = self.seed + number + 1
        other.run = self._drawn(self.program, other.seed, gain, {self.keys[key]: factor for key in members})
        return other

    @property
    def weights(self) -> Mapping[str, torch.Tensor]:
        """The redrawn weights under their traced names."""
        return self.run.weights

    def on(self, symmetry: Symmetry) -> Trial:
        """The same run, for another symmetry of the model."""
        other = copy.copy(self)
        other.symmetry = symmetry
        return other

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
        return change(self.run.outputs, self.run.outputs_with(weights))

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
