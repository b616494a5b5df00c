"""Runs of an op on drawn arguments, at small sizes and at the traced ones: the evidence for an equation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from graphmerge.rules.probe.draws import REGIMES, draw_all
from graphmerge.rules.probe.sizes import Shapes, small_sizes
from graphmerge.rules.probe.subject import NotInferred, Subject, close, is_smooth, same

LARGEST = 2**22  # entries of arguments and results, at the traced sizes
LARGE = 2**16
ENOUGH = 5  # draws, at each of several sizes, without which nothing is inferred
LIVE = 3  # draws in which an argument must change a result
SMALL_DRAWS = (14, 7)
TRACED_DRAWS = (3, 6)  # if they are large, if they are small


@dataclass(frozen=True)
class Trial:
    """Arguments and the results of the op on them."""

    values: list[torch.Tensor]
    results: list[torch.Tensor]
    shapes: Shapes
    regimes: tuple[int, ...]
    seed: int

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Arguments, then results."""
        return [*self.values, *self.results]


def run_trial(subject: Subject, shapes: Shapes, regimes: Sequence[int], seed: int, held: bool = False) -> Trial:
    """Run once. With ``held``, constants have their traced values.

    Raises:
        NotInferred: the work is too much, or the op writes into its arguments.
        Exception: whatever the op raises.
    """
    values = draw_all(subject.slots, shapes, regimes, seed, subject.careful)
    if held:
        values = [v if s.held is None else s.held for s, v in zip(subject.slots, values)]
    return Trial(values, subject.run(values), shapes, tuple(regimes), seed)


@dataclass(frozen=True)
class Evidence:
    """Trials at small sizes and at the traced ones; arguments that change a result."""

    small: list[Trial]
    traced: list[Trial]
    live: list[bool]

    @property
    def trials(self) -> list[Trial]:
        return [*self.small, *self.traced]

    @property
    def is_large(self) -> bool:
        """Are runs at the traced sizes dear?"""
        return sum(x.numel() for x in self.traced[0].tensors) > LARGE

    @property
    def search(self) -> list[Trial]:
        """Those that each guess is tried on; what is left of the guesses is tried on all."""
        return [*self.small, *self.traced[:1]] if self.is_large else self.trials


def gather(subject: Subject, outputs: Sequence[tuple[int, ...]]) -> Evidence:
    """Trials at small sizes, then at the traced ones.

    Raises:
        NotInferred: there is not enough evidence, or the op is not a function of its arguments.
    """
    shapes = tuple(slot.shape for slot in subject.slots)
    if sum(slot.held.numel() if slot.held is not None else _count(slot.shape) for slot in subject.slots) > LARGEST:
        raise NotInferred("its arguments are too large to run it on")
    first = _first(subject, shapes)
    if [tuple(r.shape) for r in first.results] != list(outputs):
        raise NotInferred("run by itself it gives results of other shapes than in the model")
    if sum(r.numel() for r in first.results) > LARGEST:
        raise NotInferred("its results are too large")
    _check_function(subject, first)
    ranks = [r.dim() for r in first.results]
    small: list[Trial] = []
    sizes = [shapes] if subject.careful else small_sizes(subject.slots, lambda s: _takes(subject, s, ranks))
    for chosen, count in zip(sizes, SMALL_DRAWS):
        small += _trials(subject, chosen, count)
    if len(small) < ENOUGH:
        raise NotInferred(f"it ran on {len(small)} draws of its arguments only")
    traced = _traced(subject, shapes)
    if len(traced) < 2:
        raise NotInferred("it does not run on drawn arguments of the traced sizes")
    for k, result in enumerate(traced[0].results):
        if result.numel() and all(close(result, other.results[k]) for other in traced[1:]):
            raise NotInferred("at the traced sizes a result hardly depends on what was drawn")
    _check_function(subject, small[0])
    return Evidence(small, traced, _live_slots(subject, small))


def _count(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _first(subject: Subject, shapes: Shapes) -> Trial:
    """A run at the traced sizes."""
    error: Exception | None = None
    for regime in (0, 5, 3):
        try:
            return run_trial(subject, shapes, [regime] * len(shapes), 0)
        except NotInferred:
            raise
        except Exception as found:
            error = found
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    raise NotInferred(f"it cannot be run on drawn arguments ({type(error).__name__}: {text})")


def _takes(subject: Subject, shapes: Shapes, ranks: list[int]) -> bool:
    for regime in (0, 5):
        trial = _attempt(subject, shapes, [regime] * len(shapes), 0)
        if trial is not None:
            return [r.dim() for r in trial.results] == ranks and all(r.numel() for r in trial.results)
    return False


def _attempt(subject: Subject, shapes: Shapes, regimes: Sequence[int], seed: int, held: bool = False) -> Trial | None:
    try:
        return run_trial(subject, shapes, regimes, seed, held)
    except NotInferred:
        raise
    except Exception:  # arguments outside of its domain
        return None


def _mixed(slots: int, number: int) -> list[int]:
    """A regime for each slot, all different."""
    return [(number + 3 * k) % len(REGIMES) for k in range(slots)]


def _trials(subject: Subject, shapes: Shapes, count: int) -> list[Trial]:
    """All slots in one regime, regime by regime, and some draws with the slots in different ones."""
    slots, found = len(shapes), []
    for number in range(count):
        alike = number < len(REGIMES) and (count > len(REGIMES) or number % 2 == 0)
        regimes = [number] * slots if alike else _mixed(slots, number)
        trial = _attempt(subject, shapes, regimes, seed=100 + number)
        if trial is not None:
            found.append(trial)
    return found


def _traced(subject: Subject, shapes: Shapes) -> list[Trial]:
    """Draws at the traced sizes; in the first, constants have their own values."""
    found: list[Trial] = []
    wanted = TRACED_DRAWS[sum(map(_count, shapes)) <= LARGE]
    for number in range(2 * wanted):
        if len(found) == wanted:
            break
        regimes = _mixed(len(shapes), 4) if number == 2 else [number] * len(shapes)
        trial = _attempt(subject, shapes, regimes, seed=200 + number, held=number == 0)
        if trial is not None:
            found.append(trial)
    return found


def _check_function(subject: Subject, trial: Trial) -> None:
    """The same arguments give the same results, again and again."""
    for _ in range(2):
        if not same(trial.results, subject.run(trial.values)):
            raise NotInferred("it gives different results for the same arguments")


def check_still_same(subject: Subject, trials: Sequence[Trial]) -> None:
    """An op with a memory may change its mind after some calls.

    Raises:
        NotInferred: it did.
    """
    for trial in trials:
        if not same(trial.results, subject.run(trial.values)):
            raise NotInferred("it gives different results for the same arguments")


def _live_slots(subject: Subject, trials: Sequence[Trial]) -> list[bool]:
    """Does an argument change a result, in several draws? Nothing is inferred about one that does not.

    Raises:
        NotInferred: a result that hardly depends on the arguments: it may be constant where we looked only.
    """
    slots, results = len(subject.slots), len(trials[0].results)
    slot_hits, result_hits = [0] * slots, [0] * results
    for trial in trials:
        other = draw_all(subject.slots, trial.shapes, trial.regimes, trial.seed + 1000, subject.careful)
        for k in range(slots):
            if subject.slots[k].fixed or (slot_hits[k] >= LIVE and min(result_hits) >= LIVE):
                continue
            values = [*trial.values[:k], other[k], *trial.values[k + 1 :]]
            try:
                found = subject.run(values)
            except NotInferred:
                raise
            except Exception:  # outside of its domain
                continue
            changed = [not same([a], [b]) and _speaks(b) for a, b in zip(trial.results, found)]
            slot_hits[k] += any(changed)
            result_hits = [n + c for n, c in zip(result_hits, changed)]
    if any(n < LIVE and trials[0].results[k].numel() for k, n in enumerate(result_hits)):
        raise NotInferred("a result hardly depends on what was drawn")
    return [n >= LIVE for n in slot_hits]


def _speaks(result: torch.Tensor) -> bool:
    """Are there numbers in it?"""
    return not is_smooth(result.dtype) or bool(result.isfinite().any())
