"""Is a Symmetry right? Random elements must leave every output unchanged; broken ones must not."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from graphmerge.errors import ArchitectureMismatch, NotEquivariant, TraceError
from graphmerge.graph.storage import canonical_names
from graphmerge.symmetry import Axis, Block, Move, Permutations, Symmetry
from graphmerge.trace.capture import state_of
from graphmerge.trace.inputs import Inputs, default_inputs, lengths
from graphmerge.trace.program import Program
from graphmerge.trace.sizes import SIZES, trace_once
from graphmerge.verify.double import change, run_double
from graphmerge.verify.draw import draw_inputs, draw_weights, padded
from graphmerge.verify.torn import torn

TOLERANCE = 1e-9
VISIBLE = 1e-3  # a broken tie must change some output by at least this
AXES_TRIED = 4
GAINS = (1.0, 2.0, 0.5)


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        ok: every error is at most ``tolerance``.
        max_error: largest relative change of any output under random elements of the whole symmetry and of each group.
        errors: the same for each group alone; the culprits are those above ``tolerance``.
        broken: for each group, the change when one of its axes is left out, or moved in part: how well the check can
            see it.
        untested: groups where no such break shows (below 1e-3): their errors prove nothing.
        length: sequence length that was used, if there is one.
        seconds: time taken.
    """

    max_error: float
    errors: Mapping[str, float]
    broken: Mapping[str, float]
    untested: tuple[str, ...]
    length: int | None
    seconds: float
    tolerance: float = TOLERANCE

    @property
    def ok(self) -> bool:
        return self.max_error <= self.tolerance

    @property
    def culprits(self) -> tuple[str, ...]:
        """Groups that change the function, worst first."""
        wrong = [g for g, error in self.errors.items() if error > self.tolerance]
        return tuple(sorted(wrong, key=lambda g: -self.errors[g]))

    def require(self) -> None:
        """Raise unless ``ok``.

        Raises:
            NotEquivariant: naming the groups that change the function.
        """
        if not self.ok:
            named = ", ".join(self.culprits) or "several groups together"
            raise NotEquivariant(f"{named} change the outputs by {self.max_error:.1e} (allowed: {self.tolerance:.0e})")


def verify(
    model: torch.nn.Module,
    symmetry: Symmetry,
    example_inputs: Any = None,
    *,
    outputs: tuple[str, ...] | None = None,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Verification:
    """Try random elements of ``symmetry`` on the traced model, in float64, with all weights redrawn.

    The model is traced at a length of its own with the last position masked; every output is compared. Then each group
    moves alone, and once more with one of its axes left out, which must show.

    Raises:
        ArchitectureMismatch: the symmetry moves a tensor that the model has not.
        TraceError: the model cannot be run.
    """
    started = time.perf_counter()
    inputs = default_inputs(model) if example_inputs is None else Inputs.of(example_inputs)
    trial = _Trial(model, symmetry, inputs, outputs, seed)
    errors = {g.name: trial.error(symmetry, (g.name,)) for g in symmetry.groups}
    together = max((trial.error(symmetry, None, s) for s in range(2)), default=0.0)
    broken = {g.name: trial.best_break(g.name) for g in symmetry.groups}
    for number, gain in enumerate(GAINS[1:], start=1):  # other weights may show what these do not
        if unseen := [name for name, error in broken.items() if error < VISIBLE]:
            other = _Trial(model, symmetry, inputs, outputs, seed + number, gain)
            broken |= {name: max(broken[name], other.best_break(name)) for name in unseen}
    return Verification(
        max_error=max([together, *errors.values()]),
        errors=errors,
        broken=broken,
        untested=tuple(name for name, error in broken.items() if error < VISIBLE),
        length=trial.program.example.length,
        seconds=time.perf_counter() - started,
        tolerance=tolerance,
    )


class _Trial:
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

    def error(self, symmetry: Symmetry, groups: tuple[str, ...] | None, seed: int = 0) -> float:
        """Relative change of the outputs under a random element in which only ``groups`` move."""
        element = _moving(symmetry, groups, self.seed + seed + 1)
        given = {key: self.weights[name] for key, name in self.keys.items()}
        moved = element.apply(given)
        weights: dict[str, torch.Tensor] = {}
        for key, name in self.keys.items():
            one = weights.setdefault(name, moved[key])
            if one is not moved[key] and not torch.equal(one, moved[key]):
                return float("inf")  # one tensor, moved differently under two of its names
        weights = self.weights | weights
        return change(self.before, run_double(self.program, weights, self.inputs))

    def best_break(self, group: str) -> float:
        """The largest change when the group moves with one of its axes left out; stops at the first that shows."""
        best = 0.0
        for broken in _breaks(self.symmetry, group, self.keys):
            best = max(best, self.error(broken, (group,)))
            if best >= VISIBLE:
                break
        return best


def _moving(symmetry: Symmetry, groups: tuple[str, ...] | None, seed: int) -> Permutations:
    """A random element that moves something, if any does; a group of two units stays put every other time."""
    element = Permutations.identity(symmetry)
    for k in range(20):
        element = Permutations.random(symmetry, seed=seed + 1000 * k, groups=groups)
        if not element.is_identity:
            break
    return element


def _third_sizes(model: torch.nn.Module, inputs: Inputs) -> Iterator[Inputs]:
    """Lengths that the derivation did not use first, then the others, then the inputs as they are."""
    if inputs.length is not None:
        every = list(lengths(model, inputs))
        for length in every[SIZES:] + every[:SIZES]:
            yield inputs.resized(length)
    yield inputs


def _breaks(symmetry: Symmetry, group: str, keys: Mapping[str, str]) -> Iterator[Symmetry]:
    """The symmetry with one axis of ``group`` taken out, or moved in one row only, for its largest tensors first.

    The smallest follow: the largest may be alike, and all without effect.
    """
    axes = {(keys[axis.tensor], axis.axis, axis.part): axis for axis in symmetry[group].members}
    by_size = sorted(axes.values(), key=lambda axis: -math.prod(symmetry.shapes[axis.tensor]))
    named = [(axis, [key for key, name in keys.items() if name == keys[axis.tensor]]) for axis in by_size]
    for axis, tensors in named[:AXES_TRIED]:
        yield without(symmetry, group, axis, tensors)
    yield from torn(symmetry, group, named[0][1])
    for axis, tensors in reversed(named[AXES_TRIED:][-AXES_TRIED:]):
        yield without(symmetry, group, axis, tensors)


def without(symmetry: Symmetry, group: str, axis: Axis, tensors: list[str]) -> Symmetry:
    """The same symmetry, except that ``group`` no longer moves one axis of these tensors: one tie broken."""

    def meant(block: Block, move: Move) -> bool:
        return move.group == group and any(
            block.axis_of(dim) == axis.axis and block.runs[axis.axis] == axis.part.run for dim in move.dims
        )

    layout = dict(symmetry.layout)
    for key in tensors:
        blocks = layout.get(key, ())
        layout[key] = tuple(replace(b, moves=tuple(m for m in b.moves if not meant(b, m))) for b in blocks)
    return replace(symmetry, layout=layout)
