"""Carrying out a spec that changes what is derived, each change proved or measured."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from graphmerge.compare import compare
from graphmerge.errors import SpecError
from graphmerge.graph import trace
from graphmerge.resolve.change import pinned, released, renamed, tied
from graphmerge.spec.notation import fill_text
from graphmerge.spec.overrides import Overrides, Pattern, PinnedAxis, Release
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
    _measure(model, change, example_inputs, seed)
    with_releases = change.symmetry
    for patterns in overrides.tie:
        change.tie(patterns)
    for pattern in overrides.pin:
        change.pin(pattern)
    found = compare(change.symmetry, with_releases)
    if not found.sound:  # ties and pins only take permutations away
        raise SpecError(f"the changes are not what they should be: {found}")
    for old, new in overrides.rename:
        change.rename(old, new)
    return change.symmetry


@dataclass
class _Change:
    """A symmetry on its way; ``places`` says where each released group is written."""

    symmetry: Symmetry
    shapes: dict[str, tuple[int, ...]]
    places: dict[str, str] = field(default_factory=dict)

    def pin(self, pattern: Pattern) -> None:
        self.symmetry = pinned(self.symmetry, pattern.matches(self.symmetry.by_name), REASON)

    def tie(self, patterns: Sequence[Pattern]) -> None:
        together: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for pattern in patterns:
            for name, numbers in pattern.matches(self.symmetry.by_name).items():
                together[numbers].append(name)
        for names in together.values():
            try:
                self.symmetry = tied(self.symmetry, list(dict.fromkeys(names)))
            except SpecError as error:
                raise SpecError(f"{patterns[0].place}: {error}") from None

    def rename(self, old: Pattern, new: str) -> None:
        numbers = old.matches(self.symmetry.sizes)
        names = {name: fill_text(new, dict(zip(old.letters, found))) for name, found in numbers.items()}
        try:
            self.symmetry = renamed(self.symmetry, names)
        except SpecError as error:
            raise SpecError(f"{old.place}: {error}") from None

    def release(self, release: Release) -> None:
        if release.name in self.symmetry.by_name:
            raise SpecError(f"{release.place}: {release.name!r} is a group already; take another name")
        if unknown := [base for base in release.over if base not in self.symmetry.by_name]:
            hint = nearest(unknown[0], self.symmetry.by_name)
            raise SpecError(f"{release.place}: no group is called {unknown[0]!r}{hint}")
        pins = list(dict.fromkeys(itertools.chain(*(self._pins(axis) for axis in release.axes))))
        sizes = {a.part.run.sizes[a.part.factors[0]] for pin in pins for a in pin.axes}
        if len(sizes) != 1:
            shown = " and ".join(map(str, sorted(sizes)))
            raise SpecError(f"{release.place}: what is released has {shown} units; one group has one size")
        group = Group(release.name, sizes.pop(), release.over)
        try:
            self.symmetry = released(self.symmetry, group, pins, self.shapes)
        except SpecError as error:
            raise SpecError(f"{release.place}: {error}") from None
        self.places[release.name] = release.place

    def _pins(self, axis: PinnedAxis) -> list[Pin]:
        """The pins that hold an axis, or some parts of it."""

        def meant(held: Axis) -> bool:
            here = (held.tensor, held.axis) == (axis.tensor, axis.axis)
            return here and (axis.parts is None or held.part in axis.parts)

        found = [pin for pin in self.symmetry.pinned if any(map(meant, pin.axes))]
        if not found:
            pinned_axes = dict.fromkeys(f"{a.tensor}[{a.axis}]" for pin in self.symmetry.pinned for a in pin.axes)
            hint = nearest(str(axis), [name for name in pinned_axes if name != str(axis)])
            raise SpecError(f"{axis.place}: nothing pins {axis}{hint or '; see the pins of a derived spec'}")
        return found


def _measure(model: torch.nn.Module, change: _Change, example_inputs: Any, seed: int) -> None:
    if not change.places:
        return
    first = next(iter(change.places.values()))
    if any(p.is_meta for p in model.parameters()):
        raise SpecError(f"{first}: what is released is measured, which needs a model with weights")
    errors = errors_of(model, change.symmetry, list(change.places), example_inputs, seed=seed)
    broken = [(change.places[name], name, error) for name, error in errors.items() if not error <= TOLERANCE]
    if broken:
        limit = f"(allowed: {TOLERANCE:.0e}); leave it pinned"
        raise SpecError(
            "\n".join(
                f"{place}: releasing {name!r} changes the outputs by {e:.1e} {limit}" for place, name, e in broken
            )
        )
