"""Seeing the contractions with parameters while a model runs.

They are seen as ATen ops, of which few are left and which hide nothing: a composite call like multi-head attention is
seen as the products that it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
# op -> the equation of its operands (dimensions without a letter belong to one of them alone), and their arguments
CONTRACTIONS = {
    aten.mm.default: ("mk,kn->mn", (0, 1)),
    aten.addmm.default: ("mk,kn->mn", (1, 2)),
    aten.bmm.default: ("bmk,bkn->bmn", (0, 1)),
    aten.baddbmm.default: ("bmk,bkn->bmn", (1, 2)),
    aten.convolution.default: ("bi,oi->bo", (0, 1)),
}
VIEWS = (aten.view.default, aten._unsafe_view.default, aten._reshape_alias.default)
INPUT, OUTPUT = "input", "output"

Units = Mapping[int, np.ndarray]  # axis of a parameter -> the unit at every position


@dataclass(frozen=True)
class Site:
    """Where an activation is: the parameter, which of its uses in one forward pass, which side of the contraction."""

    key: str
    use: int
    side: str

    def __str__(self) -> str:
        return f"{self.side} of {self.key}" + (f", use {self.use + 1}" if self.use else "")


@dataclass(frozen=True, eq=False)
class Reading:
    """An activation that a parameter is contracted with, or that comes out.

    ``dims[k]``: the axes of the parameter that dimension k of ``tensor`` is laid out as. ``covered``: the units of
    every axis of the parameter that take part. ``samples``: sizes of the other dimensions, before they were flattened.
    """

    site: Site
    tensor: torch.Tensor
    dims: Mapping[int, Units]
    covered: Units
    samples: tuple[int, ...]


@contextmanager
def watched(model: nn.Module, keys: Mapping[str, Any], read: Callable[[Reading], None]) -> Iterator[None]:
    """Calls ``read`` with every `Reading` of a forward pass that runs inside."""
    with unfused(), Watch(model, keys, read):
        yield


@contextmanager
def unfused() -> Iterator[None]:
    """No gradients inside, and no layers that run as one op, as torch's own encoder layers would."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


class Watch(TorchDispatchMode):
    """What `watched` does, op by op."""

    def __init__(self, model: nn.Module, keys: Mapping[str, Any], read: Callable[[Reading], None]) -> None:
        super().__init__()
        self.read = read
        self.parameters: dict[int, tuple[str, torch.Tensor]] = {}  # by storage; of tied keys the first
        for key, tensor in model.state_dict().items():
            if key in keys and tensor.is_contiguous():
                self.parameters.setdefault(tensor.untyped_storage()._cdata, (key, tensor))
        self.uses: dict[str, int] = {}
        self.views: dict[Any, View | None] = {}
        self.flattened: dict[Any, torch.Size] = {}  # shapes before a view; a place may be used again within a pass

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in VIEWS:
            self.flattened[place_of(out)] = args[0].shape
        elif func in CONTRACTIONS and _is_plain(func, args):
            equation, numbers = CONTRACTIONS[func]
            self._contraction(equation, [args[n] for n in numbers], out)
        return out

    def _contraction(self, equation: str, operands: list[torch.Tensor], out: torch.Tensor) -> None:
        *inputs, output = equation.replace("->", ",").split(",")
        for number, weight in enumerate(operands):
            key, parameter = self.parameters.get(weight.untyped_storage()._cdata, ("", None))
            view = None if parameter is None else self._view(weight, parameter)
            if view is None:
                continue
            use = self.uses[key] = self.uses.get(key, -1) + 1
            other, own = operands[1 - number], inputs[number]
            samples = self._samples(other, inputs[1 - number], own)
            for side, tensor, letters in ((INPUT, other, inputs[1 - number]), (OUTPUT, out, output)):
                dims = {k: view.dims[own.index(x)] for k, x in enumerate(letters) if x in own}
                self.read(Reading(Site(key, use, side), tensor, _varying(dims), view.covered, samples))

    def _view(self, weight: torch.Tensor, parameter: torch.Tensor) -> View | None:
        place = place_of(weight)
        if place not in self.views:
            self.views[place] = view_of(weight, parameter)
        return self.views[place]

    def _samples(self, tensor: torch.Tensor, letters: str, own: str) -> tuple[int, ...]:
        """Sizes of the dimensions that ``tensor`` shares with no parameter; of a flattened one those that it was."""
        free = [k for k in range(tensor.dim()) if k >= len(letters) or letters[k] not in own]
        count = math.prod(tensor.shape[k] for k in free)
        before = self.flattened.get(place_of(tensor), ())
        fits = [before[:n] for n in range(2, len(before)) if math.prod(before[:n]) == count]
        return tuple(fits[0]) if free == [0] and fits else tuple(tensor.shape[k] for k in free)


@dataclass(frozen=True, eq=False)
class View:
    """A view of a parameter: the axes that each of its dimensions is laid out as, and the units of every axis in it."""

    dims: tuple[Units, ...]
    covered: Units


def view_of(view: torch.Tensor, parameter: torch.Tensor) -> View | None:
    """How a view on the storage of a contiguous parameter is laid out; None if several dimensions share an axis."""
    start = int(view.storage_offset() - parameter.storage_offset())
    if start < 0 or view.numel() == 0:
        return None
    first = np.unravel_index(start, parameter.shape)
    covered = {axis: np.array([unit]) for axis, unit in enumerate(first)}
    dims, seen = [], set()
    for size, stride in zip(view.shape, view.stride()):
        if start + (size - 1) * stride >= parameter.numel():
            return None
        along = np.unravel_index(start + np.arange(int(size)) * int(stride), parameter.shape)
        units = {axis: where for axis, where in enumerate(along) if (where != where[0]).any()}
        if seen & units.keys():
            return None
        seen |= units.keys()
        covered |= {axis: np.unique(where) for axis, where in units.items()}
        dims.append(units)
    return View(tuple(dims), covered)


def _varying(dims: Mapping[int, Units]) -> dict[int, Units]:
    return {k: units for k, units in dims.items() if units}


def _is_plain(func: Any, args: Any) -> bool:
    """No transposed and no grouped convolution: their parameters' axes mean other things."""
    return func is not aten.convolution.default or (not args[6] and args[8] == 1)


def place_of(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Equal for two tensors that are one piece of memory; only while its storage lives."""
    return (tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.shape, tensor.stride())
