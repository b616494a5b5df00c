"""Carrying out a spec that changes what is derived, each change proved or measured."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from graphmerge.compare import compare
from graphmerge.errors import SpecError
from graphmerge.graph import trace
from graphmerge.resolve.change import pinned, released, renamed, tied
from graphmerge.spec.notation import fill_text
from graphmerge.spec.overrides import Overrides, Pattern, PinnedAxis, Release, mistake
from graphmerge.spec.wording import nearest
from graphmerge.symmetry import Axis, Group, Pin, Symmetry
from graphmerge.verify import errors_of

TOLERANCE = 1e-9
REASON = "pinned by a spec"


def overridden(model: torch.nn.Module, overrides: Overrides, example_inputs: Any = None, seed: int = 0) -> Symmetry:
    """What is derived from a model, with the changes of a spec.

    Pins and ties give fewer permutations, which is proved; what is released is measured on redrawn weights, as
    `graphmerge.verify` does.

    Raises:
        SpecError: a name that does not exist, groups that cannot be tied, or a change that changes the outputs.
    """
    derived = trace(model, example_inputs).symmetry()
    change = _Change(derived, {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()})
    for release in overrides.release:
        change.release(release)
    with_releases = change.symmetry
    for patterns in overrides.tie:
        change.tie(patterns)
    change.pin(overrides.pin)
    unnamed = change.symmetry
    for old, new in overrides.rename:
        change.rename(old, new)
    change.finish()
    _measure(model, with_releases, change.places, example_inputs, seed)
    found = compare(unnamed, with_releases)
    if not found.sound:  # ties and pins only take permutations away
        raise SpecError(f"the changes are not what they should be: {found}")
    return change.symmetry


@dataclass
class _Change:
    """A symmetry on its way; ``places`` says where each released group is written.

    What cannot be done is noted, and `finish` reports all of it. What only follows from it is not reported again.
    """

    symmetry: Symmetry
    shapes: dict[str, tuple[int, ...]]
    places: dict[str, str] = field(default_factory=dict)
    _mistakes: list[SpecError] = field(default_factory=list)
    _lost: list[str] = field(default_factory=list)

    def finish(self) -> None:
        """Raise what was noted, as one error in the order of the file, if anything was."""
        if self._mistakes:
            in_order = sorted(self._mistakes, key=lambda error: error.position or (1, 1))
            error = SpecError("\n".join(map(str, in_order)))
            error.position = in_order[0].position
            raise error

    def pin(self, patterns: Sequence[Pattern]) -> None:
        names = dict.fromkeys(name for pattern in patterns for name in self._named(pattern))
        self.symmetry = pinned(self.symmetry, names, REASON)

    def tie(self, patterns: Sequence[Pattern]) -> None:
        together: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for pattern in patterns:
            for name, numbers in self._named(pattern).items():
                together[numbers].append(name)
        for names in together.values():
            with self._noting(patterns[0].place):
                self.symmetry = tied(self.symmetry, list(dict.fromkeys(names)))

    def rename(self, old: Pattern, new: str) -> None:
        numbers = self._named(old, self.symmetry.sizes)
        names = {name: fill_text(new, dict(zip(old.letters, found))) for name, found in numbers.items()}
        with self._noting(old.place):
            self.symmetry = renamed(self.symmetry, names)

    def release(self, release: Release) -> None:
        before = len(self._mistakes)
        self._check(release)
        pins = list(dict.fromkeys(itertools.chain(*(self._pins(axis) for axis in release.axes))))
        if len(self._mistakes) == before:
            with self._noting(release.place):
                group = Group(release.name, _size(pins), release.over)
                self.symmetry = released(self.symmetry, group, pins, self.shapes)
                self.places[release.name] = release.place
        if release.name not in self.symmetry.by_name:
            self._lost.append(release.name)

    def _check(self, release: Release) -> None:
        with self._noting(release.place):
            if release.name in self.symmetry.by_name:
                raise SpecError(f"{release.name!r} is a group already; take another name")
            if unknown := [base for base in release.over if base not in self.symmetry.by_name]:
                raise SpecError(f"no group is called {unknown[0]!r}{nearest(unknown[0], self.symmetry.by_name)}")

    def _named(self, pattern: Pattern, known: Iterable[str] | None = None) -> Mapping[str, tuple[str, ...]]:
        """The groups of a pattern; none, which is noted unless it means one that could not be released."""
        names = list(self.symmetry.by_name if known is None else known)
        try:
            return pattern.matches(names)
        except SpecError as error:
            try:
                pattern.matches(self._lost)
            except SpecError:
                self._mistakes.append(error)
            return {}

    @contextmanager
    def _noting(self, place: str) -> Iterator[None]:
        try:
            yield
        except SpecError as error:
            self._mistakes.append(mistake(place, str(error)))

    def _pins(self, axis: PinnedAxis) -> list[Pin]:
        """The pins that hold an axis, or some parts of it."""

        def meant(held: Axis) -> bool:
            here = (held.tensor, held.axis) == (axis.tensor, axis.axis)
            return here and (axis.parts is None or held.part in axis.parts)

        found = [pin for pin in self.symmetry.pinned if any(map(meant, pin.axes))]
        if not found:
            pinned_axes = dict.fromkeys(f"{a.tensor}[{a.axis}]" for pin in self.symmetry.pinned for a in pin.axes)
            hint = nearest(str(axis), [name for name in pinned_axes if name != str(axis)])
            hint = hint or "; see the pins of a derived spec"
            self._mistakes.append(mistake(axis.place, f"nothing pins {axis}{hint}"))
        return found


def _size(pins: Sequence[Pin]) -> int:
    sizes = {a.part.run.sizes[a.part.factors[0]] for pin in pins for a in pin.axes}
    if len(sizes) != 1:
        shown = " and ".join(map(str, sorted(sizes)))
        raise SpecError(f"what is released has {shown} units; one group has one size")
    return sizes.pop()


def _measure(
    model: torch.nn.Module, symmetry: Symmetry, places: Mapping[str, str], example_inputs: Any, seed: int
) -> None:
    """Raises:
    SpecError: a released group changes the outputs, or the model has no weights to tell.
    """
    if not places:
        return
    if any(p.is_meta for p in model.parameters()):
        first = next(iter(places.values()))
        raise mistake(first, "what is released is measured, which needs a model with weights")
    errors = errors_of(model, symmetry, list(places), example_inputs, seed=seed)
    broken = [(places[name], name, error) for name, error in errors.items() if not error <= TOLERANCE]
    if broken:
        limit = f"(allowed: {TOLERANCE:.0e}); leave it pinned"
        raise SpecError(
            "\n".join(
                f"{place}: releasing {name!r} changes the outputs by {e:.1e} {limit}" for place, name, e in broken
            )
        )
