"""The symmetries of a model as plain data: groups, pins, and how each tensor is cut into blocks of units.

No torch here. An element of a Symmetry is a `Permutations` (see ``permutations.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from graphmerge.errors import ArchitectureMismatch, SpecError
from graphmerge.symmetry.actions import Action

if TYPE_CHECKING:
    from pathlib import Path

    from graphmerge.symmetry.permutations import Permutations
    from graphmerge.symmetry.rotary import Rotary

# Size of a whole fixed axis that a hand-written spec leaves open; `Symmetry.fit` fills it in from the weights.
UNKNOWN: Final = -1

# What the units of a group may be subjected to without changing the function: `Group.kind`, smallest class first.
KINDS: Final = (
    "permutation",
    "signed_permutation",
    "scaled_permutation",
    "rotary",
    "orthogonal_fixing_ones",
    "orthogonal",
    "invertible",
)


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

    def units(self) -> np.ndarray:
        """The positions on the axis, shape ``sizes``."""
        where = np.full((), self.offset, dtype=np.int64)
        for size, stride in zip(_known(self.sizes), self.strides):
            where = where[..., None] + np.arange(size, dtype=np.int64) * stride
        return where

    def __str__(self) -> str:
        if not self.sizes:
            return f"[{self.offset}]"
        last = self.offset + sum((n - 1) * s for n, s in zip(self.sizes, self.strides))
        shape = "×".join(map(str, self.sizes))
        return f"[{self.offset}..{last}] as {shape}"


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


@dataclass(frozen=True, slots=True)
class Group:
    """The permutations of one free leaf: ``size`` units, one permutation for each joint index of ``over``."""

    name: str
    size: int
    over: tuple[str, ...] = ()
    members: tuple[Axis, ...] = ()
    kind: str = "permutation"


@dataclass(frozen=True, slots=True)
class Pin:
    """A leaf that may not move. Named (with its size) only where a group is over it."""

    axes: tuple[Axis, ...]
    reason: str
    name: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Symmetry:
    """All the groups of a model, the pins, and the layout of every tensor that a group moves.

    ``layout`` maps each state-dict key to its blocks, in model order; a tensor that is missing, or a unit in no block,
    does not move. Shared tensors appear under each of their keys. ``shapes`` are those of the tensors in ``layout``,
    `UNKNOWN` where a spec leaves a whole axis open. ``rotary`` are the pinned axes on which complex numbers may act: no
    permutations, and not in a spec. ``places`` says where a spec file names a tensor or a group.
    """

    groups: tuple[Group, ...]
    pinned: tuple[Pin, ...]
    layout: Mapping[str, tuple[Block, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    model: str = ""
    notes: tuple[str, ...] = ()
    rotary: tuple[Rotary, ...] = field(default=(), compare=False)
    trace: Any = field(default=None, compare=False, repr=False)
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", MappingProxyType(dict(self.layout)))
        object.__setattr__(self, "shapes", MappingProxyType(dict(self.shapes)))
        for group in self.groups:
            for base in group.over:
                if base not in self.sizes:
                    raise SpecError(f"group {group.name!r} is over {base!r}, which is neither a group nor a named pin")
                if base in self.by_name and (lacking := [b for b in self.by_name[base].over if b not in group.over]):
                    raise SpecError(
                        f"group {group.name!r} is over {base!r}, which is over {lacking[0]!r}; it must be over that too"
                    )

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Size of every group and of every named pin."""
        named = {p.name: p.size for p in self.pinned if p.name is not None and p.size is not None}
        return MappingProxyType(named | {g.name: g.size for g in self.groups})

    @cached_property
    def by_name(self) -> Mapping[str, Group]:
        """The groups by name, in their order."""
        return MappingProxyType({g.name: g for g in self.groups})

    def __getitem__(self, name: str) -> Group:
        """The group called ``name``; a KeyError lists the names that exist."""
        if name not in self.by_name:
            raise KeyError(f"no group {name!r}; the groups are {', '.join(self.by_name)}")
        return self.by_name[name]

    def shape(self, group: str) -> tuple[int, ...]:
        """Shape of the array that holds one element of ``group``: the sizes of its bases, then its own."""
        g = self[group]
        return (*(self.sizes[b] for b in g.over), g.size)

    def copies(self, group: str) -> int:
        """How many independent permutations ``group`` has: the product of the sizes of its bases."""
        return math.prod(self.shape(group)[:-1])

    def log_order(self) -> float:
        """Natural log of the number of elements: ``Σ_g copies(g) · ln(size(g)!)``."""
        return math.fsum(self.copies(g.name) * math.lgamma(g.size + 1) for g in self.groups)

    def bases_first(self) -> list[str]:
        """Names of the groups, each after the groups that it is over."""
        done: dict[str, None] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise SpecError(f"groups are over each other: {' -> '.join((*path, name))}")
            if name in done or name not in self.by_name:
                return
            for base in self.by_name[name].over:
                visit(base, (*path, name))
            done[name] = None

        for group in self.groups:
            visit(group.name, ())
        return list(done)

    def fit(self, shapes: Mapping[str, tuple[int, ...]]) -> Symmetry:
        """This symmetry for weights of these shapes: checked, and with the sizes that its spec leaves open filled in.

        Raises:
            ArchitectureMismatch: a tensor that a group moves is missing, or has another shape.
        """
        for key in self.layout:
            if key not in shapes:
                raise ArchitectureMismatch(
                    f"the weights have no tensor {key!r}, which the symmetry moves: it belongs to "
                    "another model, or this is not a whole state dict"
                )
            found, expected = tuple(shapes[key]), self.shapes[key]
            if len(found) != len(expected) or any(n not in (m, UNKNOWN) for m, n in zip(found, expected)):
                shown = tuple("any" if n == UNKNOWN else n for n in expected)
                raise ArchitectureMismatch(
                    f"{key} has shape {found}, the symmetry expects {shown}; it belongs to another architecture"
                )
        is_open = {key for key, shape in self.shapes.items() if UNKNOWN in shape}
        if not is_open:
            return self
        layout = {
            key: tuple(_fit(block, shapes[key]) for block in blocks) if key in is_open else blocks
            for key, blocks in self.layout.items()
        }
        return replace(self, layout=layout, shapes={key: tuple(shapes[key]) for key in self.layout})

    def identity(self) -> Permutations:
        """The element that moves nothing."""
        from graphmerge.symmetry.permutations import Permutations

        return Permutations.identity(self)

    def random(self, seed: int = 0, groups: tuple[str, ...] | None = None) -> Permutations:
        """A uniformly random element; only ``groups`` move if given (names), the others stay."""
        from graphmerge.symmetry.permutations import Permutations

        return Permutations.random(self, seed=seed, groups=groups)

    def to_yaml(self, path: str | Path) -> None:
        """Write the permutation spec; `graphmerge.load_spec` reads it back."""
        from graphmerge.spec import save_spec

        save_spec(self, path)


def _fit(block: Block, shape: tuple[int, ...]) -> Block:
    """``block`` with its open axes as long as ``shape`` says."""
    runs = tuple(Run(0, (n,), (1,)) if UNKNOWN in run.sizes else run for run, n in zip(block.runs, shape))
    return replace(block, runs=runs)
