"""Holding a spec against weights: do its tensors exist, and have they the shapes that it says?"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Protocol

from graphmerge.errors import SpecError
from graphmerge.symmetry import UNKNOWN, Symmetry


class HasShape(Protocol):
    """A tensor, or whatever stands for one."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def check_spec(symmetry: Symmetry, state: Mapping[str, HasShape]) -> Symmetry:
    """Check a symmetry against a state dict (tensors, or anything with a shape); give it back with all sizes known.

    Raises:
        SpecError: a tensor that the state dict does not have, or that has another shape; with the place in the file if
            the symmetry was read from one.
    """
    symmetry = symmetry.within(state)
    pinned = (axis.tensor for pin in symmetry.pinned for axis in pin.axes)
    for key in dict.fromkeys((*symmetry.layout, *pinned)):
        if key not in state:
            near = difflib.get_close_matches(key, list(state), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it, or check the model"
            raise SpecError(f"{_place(symmetry, key)}the model has no tensor {key!r}; {hint}")
    for key, expected in symmetry.shapes.items():
        found = tuple(state[key].shape)
        if len(found) != len(expected):
            raise SpecError(
                f"{_place(symmetry, key)}{key} has {len(found)} axes {found}, but the spec gives it {len(expected)}; "
                "write one for each, '_' for those that stay"
            )
        for axis, (a, b) in enumerate(zip(found, expected)):
            if b not in (a, UNKNOWN):
                raise SpecError(
                    f"{_place(symmetry, key)}axis {axis} of {key} has {a} units, but the spec makes it {b}; "
                    "correct the sizes of its groups or the parts of this axis"
                )
    for pin in symmetry.pinned:
        for axis in pin.axes:
            shape = tuple(state[axis.tensor].shape)
            if axis.axis >= len(shape) or int(axis.part.run.units().max()) >= shape[axis.axis]:
                raise SpecError(
                    f"{_place(symmetry, axis.tensor)}the pin {axis} reaches beyond the tensor's shape {shape}; "
                    "correct it under 'pinned'"
                )
    return symmetry.fit({key: tuple(state[key].shape) for key in symmetry.layout})


def _place(symmetry: Symmetry, name: str) -> str:
    return f"{symmetry.places[name]}: " if name in symmetry.places else ""
