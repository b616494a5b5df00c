"""Is a Symmetry right? Random elements must leave every output unchanged; broken ones must not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from graphmerge.errors import NotEquivariant
from graphmerge.symmetry import Permutations, Symmetry
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs
from graphmerge.verify.branches import Branches, other_branches
from graphmerge.verify.copies import Changes, can_shrink, compared_copy, without_weights
from graphmerge.verify.edits import AXES_TRIED, axes_by_size, without
from graphmerge.verify.kinds import KIND_TOLERANCE, KindCheck, check_kinds
from graphmerge.verify.torn import torn
from graphmerge.verify.trial import OTHER_DRAWS, VISIBLE, Trial

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        ok: every error is at most ``tolerance``, every group's kind, if tried, is right, and a copy that stood for the
            model has the same groups.
        max_error: largest relative change of any output under random elements of the whole symmetry and of each group.
        errors: the same for each group alone; the culprits are those above ``tolerance``.
        broken: for each group, the change when one of its axes is left out, or moved in part: how well the check can
            see it.
        untested: groups where no such break shows (below 1e-3): their errors prove nothing.
        kinds: what was found about each group's kind, if that was asked for.
        shrunk: settings of the config that were made small for a copy, from and to, where a copy stood for the model;
            then the groups are those of the copy.
        unlike: groups of the model that have no counterpart in the copy (and the other way round), or tensors that are
            cut or pinned otherwise: what holds of the copy says nothing of the model.
        branches: for a model whose control flow depends on data, what running it on several data showed.
        length: sequence length that was used, if there is one.
        outputs: names of the outputs that were compared.
        seconds: time taken.
    """

    max_error: float
    errors: Mapping[str, float]
    broken: Mapping[str, float]
    untested: tuple[str, ...]
    length: int | None
    seconds: float
    outputs: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    kinds: Mapping[str, KindCheck] = field(default_factory=dict)
    branches: Branches | None = None
    shrunk: Changes = field(default_factory=dict)
    unlike: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Does no random element, and no random map of a kind, change an output?"""
        right = (self.branches is None or self.branches.ok) and not self.unlike
        return right and self.max_error <= self.tolerance and all(check.ok for check in self.kinds.values())

    @property
    def culprits(self) -> tuple[str, ...]:
        """Groups that change the function, worst first."""
        wrong = [g for g, error in self.errors.items() if error > self.tolerance]
        return tuple(sorted(wrong, key=lambda g: -self.errors[g]))

    @property
    def wrong_kinds(self) -> tuple[str, ...]:
        """Groups whose kind is too large: a map of that kind changes the function."""
        return tuple(g for g, check in self.kinds.items() if not check.ok)

    @property
    def wrong(self) -> str:
        """What is not ``ok``, in a sentence: the groups that change the function, or whose kind does, or that a copy
        has not; empty if nothing."""
        if self.unlike:
            return f"the small copy does not have the same groups: {', '.join(self.unlike[:8])}"
        if self.max_error > self.tolerance:
            named = ", ".join(self.culprits) or "several groups together"
            return f"{named} change the outputs by {self.max_error:.1e} (allowed: {self.tolerance:.0e})"
        if self.branches is not None and not self.branches.ok:
            return str(self.branches)
        told = (
            f"a random {c.kind.replace('_', ' ')} of {g} changes the outputs by {c.error:.1e}"
            for g, c in self.kinds.items()
            if not c.ok
        )
        return f"{'; '.join(told)} (allowed: {KIND_TOLERANCE:.0e})" if self.wrong_kinds else ""

    def require(self) -> None:
        """Raise unless ``ok``.

        Raises:
            NotEquivariant: with what is ``wrong``.
        """
        if self.wrong:
            raise NotEquivariant(self.wrong)


def verify(
    model: torch.nn.Module,
    symmetry: Symmetry,
    example_inputs: Any = None,
    *,
    outputs: tuple[str, ...] | None = None,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    kinds: bool = False,
    shrunk: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Try random elements of ``symmetry`` on the traced model, in float64, with all weights redrawn.

    The model is traced at a length of its own with the last position masked; every output is compared. Then each group
    moves alone, and once more with one of its axes left out, which must show. A model whose control flow depends on
    data is also run itself, on several weights and inputs, so that other branches show. With ``kinds``, random maps of
    each group's kind (`Group.kind`) are tried as well, and of the kinds that come next, which must show. ``progress``
    is called with (checks of groups done, in all).

    ``shrunk`` takes a tiny copy of a Hugging Face model in its place, built from the same config; None does so for one
    without weights (on the meta device). Then what is verified is the symmetry that is derived from the copy, and
    ``symmetry`` must be the same up to sizes and the number of layers: what has no counterpart is in
    ``Verification.unlike``, and nothing is claimed.

    Raises:
        InputError: with ``kinds``, a symmetry from a spec that has kinds: only a derived one says how they act.
        ArchitectureMismatch: the symmetry moves a tensor that the model has not.
        TraceError: the model cannot be run, or no small copy of it.
    """
    started = time.perf_counter()
    if shrunk or (shrunk is None and without_weights(model) and can_shrink(model)):
        compared = compared_copy(model, symmetry, example_inputs, outputs)
        copy = compared.copy
        options: dict[str, Any] = {"seed": seed, "tolerance": tolerance, "kinds": kinds, "progress": progress}
        checked = verify(copy.model, compared.symmetry, copy.inputs, outputs=outputs, shrunk=False, **options)
        return replace(checked, shrunk=copy.shrunk, unlike=compared.unlike, seconds=time.perf_counter() - started)
    inputs = default_inputs(model) if example_inputs is None else Inputs.of(example_inputs)
    trial = Trial(model, symmetry, inputs, outputs, seed)
    symmetry = trial.symmetry  # without optional tensors that the model does not have
    names = [g.name for g in symmetry.groups if g.size > 1]  # one unit has nowhere to go
    steps = _Steps(progress, 2 * len(names))
    together = max((_error(trial, symmetry, None, s) for s in range(2)), default=0.0)
    errors = {name: steps.done(_error(trial, symmetry, (name,))) for name in names}
    broken = {name: steps.done(_best_break(trial, name)) for name in names}
    for number in range(len(OTHER_DRAWS)):
        if unseen := [name for name, error in broken.items() if error < VISIBLE]:
            other = trial.redrawn(number, unseen)
            broken |= {name: max(broken[name], _best_break(other, name)) for name in unseen}
    return Verification(
        max_error=max([together, *errors.values()]),
        errors=errors,
        broken=broken,
        untested=tuple(name for name, error in broken.items() if error < VISIBLE),
        length=trial.program.example.length,
        seconds=time.perf_counter() - started,
        outputs=tuple(trial.program.outputs),
        tolerance=tolerance,
        branches=other_branches(trial, model, outputs),
        kinds=check_kinds(trial, (trial.redrawn(n, ()) for n in (1, 2))) if kinds else {},
    )


def errors_of(
    model: torch.nn.Module,
    symmetry: Symmetry,
    groups: Iterable[str],
    example_inputs: Any = None,
    *,
    seed: int = 0,
) -> dict[str, float]:
    """How much a random element of each of some groups alone changes the outputs: `Verification.errors`, no more.

    Raises:
        TraceError: the model cannot be run.
    """
    inputs = default_inputs(model) if example_inputs is None else Inputs.of(example_inputs)
    trial = Trial(model, symmetry, inputs, None, seed)
    return {name: _error(trial, trial.symmetry, (name,)) for name in groups}


class _Steps:
    """Counts checks for a progress callback."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.progress, self.total, self.count = progress, total, 0

    def done(self, result: float) -> float:
        """One more is done; its result, as it is."""
        self.count += 1
        if self.progress is not None:
            self.progress(self.count, self.total)
        return result


def _error(trial: Trial, symmetry: Symmetry, groups: tuple[str, ...] | None, seed: int = 0) -> float:
    """Relative change of the outputs under a random element in which only ``groups`` move."""
    return trial.change(_moving(symmetry, groups, trial.seed + seed + 1).apply(trial.given))


def _best_break(trial: Trial, group: str) -> float:
    """The largest change when the group moves with one of its axes left out; stops at the first that shows."""
    best = 0.0
    for broken in _breaks(trial, group):
        best = max(best, _error(trial, broken, (group,)))
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


def _breaks(trial: Trial, group: str) -> Iterator[Symmetry]:
    """The symmetry with one axis of ``group`` taken out, or moved in one row only, for its largest tensors first.

    The smallest follow: the largest may be alike, and all without effect.
    """
    axes = axes_by_size(trial, group)
    for axis, tensors in axes[:AXES_TRIED]:
        yield without(trial.symmetry, group, axis, tensors)
    yield from torn(trial.symmetry, group, axes[0][1])
    for axis, tensors in reversed(axes[AXES_TRIED:][-AXES_TRIED:]):
        yield without(trial.symmetry, group, axis, tensors)
