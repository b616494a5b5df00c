"""How a tensor is cut: units of an axis in mixed radix, boxes of a tensor, and what moves in them. Plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from graphmerge.errors import SpecError
from graphmerge.symmetry.actions import Action

# Size of a whole fixed axis that a hand-written spec leaves open; `Symmetry.fit` fills it in from the weights.
UNKNOWN: Final = -1


def _known(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if UNKNOWN in sizes:
        raise SpecError(
            "the spec leaves the size of an axis open ('_'); call symmetry.fit(shapes of the weights) first"
        )
    return sizes


@dataclass(frozen=True, slots=True)
class Run:
    """Some units of one axis in mixed radix: ``offset + Σ_k i_k · strides[k]`` with ``0 ≤ i_k < sizes[k]``.

    Each (size, stride) pair is a *factor*. ``(heads qk)`` of 12 × 64 units is ``Run(0, (12, 64), (64, 1))``; the keys
    of a fused projection of queries, keys and values are ``Run(768, (12, 64), (64, 1))``.
    """

    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def length(self) -> int:
        return math.prod(_known(self.sizes))

    @property
    def last(self) -> int:
        """The largest of its positions."""
        return self.offset + sum((n - 1) * s for n, s in zip(_known(self.sizes), self.strides))

    def units(self) -> np.ndarray:
        """The positions on the axis, shape ``sizes``."""
        where = np.full((), self.offset, dtype=np.int64)
        for size, stride in zip(_known(self.sizes), self.strides):
            where = where[..., None] + np.arange(size, dtype=np.int64) * stride
        return where

    def __str__(self) -> str:
        if not self.sizes:
            return f"[{self.offset}]"
        shape = "×".join(map(str, self.sizes))
        return f"[{self.offset}..{self.last}] as {shape}"


@dataclass(frozen=True, slots=True)
class Move:
    """How one group acts in one block.

    ``dims`` are positions among the block's factors, counted over all its axes in order; the group permutes their joint
    index (row-major; one position but for groups of pairs). ``over`` gives, for each entry of ``Group.over``, the
    position of the factor that says which of the group's permutations to use. ``action`` is what maps of the group's
    kind do here beyond permuting; None where only the permutations are known (a spec).
    """

    group: str
    dims: tuple[int, ...]
    over: tuple[int, ...] = ()
    action: Action | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Block:
    """A box of one tensor: a `Run` on every axis, and the moves of the groups in it."""

    runs: tuple[Run, ...]
    moves: tuple[Move, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the block's factors over all axes: the shape that the block is viewed in to be permuted."""
        return _known(tuple(n for run in self.runs for n in run.sizes))

    def axis_of(self, dim: int) -> int:
        """The tensor axis that factor ``dim`` belongs to."""
        for axis, run in enumerate(self.runs):
            if dim < len(run.sizes):
                return axis
            dim -= len(run.sizes)
        raise IndexError(dim)

    def factor_of(self, dim: int) -> int:
        """The position of factor ``dim`` on its own axis."""
        return dim - sum(len(run.sizes) for run in self.runs[: self.axis_of(dim)])


@dataclass(frozen=True, slots=True)
class Part:
    """Which units of an axis a group moves: the run, and which factors of that run."""

    run: Run
    factors: tuple[int, ...]

    def __str__(self) -> str:
        if len(self.run.sizes) == 1:
            return str(self.run)
        return f"{self.run}, factor {'·'.join(str(f) for f in self.factors)}"


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of one tensor, and the part of it that is meant."""

    tensor: str
    axis: int
    part: Part

    def __str__(self) -> str:
        return f"{self.tensor}[{self.axis}] {self.part}"
