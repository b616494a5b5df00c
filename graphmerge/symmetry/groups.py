"""The symmetries of a model as plain data: groups, pins, and the blocks of every tensor that they move.

No torch here. An element of a Symmetry is a `Permutations` (see ``permutations.py``).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from graphmerge.errors import ArchitectureMismatch, SpecError
from graphmerge.symmetry.blocks import UNKNOWN, Axis, Block, Run

if TYPE_CHECKING:
    from pathlib import Path

    from graphmerge.symmetry.permutations import Permutations
    from graphmerge.symmetry.rotary import Rotary

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
    permutations, and not in a spec. ``optional`` are tensors that weights may lack (`fit` leaves those out). ``places``
    says where a spec file names a tensor or a group, ``comments`` what its comments say there. ``unsound`` says why
    elements change the function, where that was asked for (`untie`, `flatten`).
    """

    groups: tuple[Group, ...]
    pinned: tuple[Pin, ...]
    layout: Mapping[str, tuple[Block, ...]]
    shapes: Mapping[str, tuple[int, ...]]
    model: str = ""
    notes: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    unsound: tuple[str, ...] = ()
    rotary: tuple[Rotary, ...] = field(default=(), compare=False)
    trace: Any = field(default=None, compare=False, repr=False)
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    comments: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

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

        Optional tensors that are not there are left out, and so are groups that moved nothing else.

        Raises:
            ArchitectureMismatch: a tensor that a group moves is missing, or has another shape.
        """
        if any(key not in shapes for key in self.optional):
            return self.within(shapes).fit(shapes)
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

    def within(self, present: Collection[str]) -> Symmetry:
        """The same without optional tensors that are not ``present``, and without groups that moved nothing else."""
        tensors = {key for key in self.optional if key not in present}

        def kept(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
            return tuple(axis for axis in axes if axis.tensor not in tensors)

        groups = [replace(group, members=kept(group.members)) for group in self.groups]
        pins = [replace(pin, axes=kept(pin.axes)) for pin in self.pinned]
        return replace(
            self,
            groups=tuple(group for group, was in zip(groups, self.groups) if group.members or not was.members),
            pinned=tuple(
                pin for pin, was in zip(pins, self.pinned) if pin.axes or not was.axes or pin.name is not None
            ),
            layout={key: blocks for key, blocks in self.layout.items() if key not in tensors},
            shapes={key: shape for key, shape in self.shapes.items() if key not in tensors},
            optional=self.optional - tensors,
        )

    def identity(self) -> Permutations:
        """The element that moves nothing."""
        from graphmerge.symmetry.permutations import Permutations

        return Permutations.identity(self)

    def random(self, seed: int = 0, groups: tuple[str, ...] | None = None) -> Permutations:
        """A uniformly random element; only ``groups`` move if given (names), the others stay."""
        from graphmerge.symmetry.permutations import Permutations

        return Permutations.random(self, seed=seed, groups=groups)

    @property
    def preserving(self) -> bool:
        """Do its elements leave the function unchanged, as far as is known? Only `verify` proves it."""
        return not self.unsound

    def untie(self, group: str, places: Mapping[tuple[str, int], int] | None = None) -> Symmetry:
        """A group taken apart: its axes with one number in ``places`` (tensor, axis) move together, by themselves.

        The new groups are called ``reads.0.residual`` and so on; without ``places`` every axis of every tensor moves by
        itself. Elements of the result change the function, which is said in ``unsound``.

        Raises:
            SpecError: another group is over it, or an axis has no number.
        """
        from graphmerge.symmetry.unsound import untied

        return untied(self, group, places)

    def flatten(self, *bases: str) -> Symmetry:
        """What is over ``bases`` as one group of joint units: ``v`` over 12 heads of 64 becomes one ``v`` of 768.

        The bases (groups or named pins) move nothing themselves any more. Elements of the result change the function,
        which is said in ``unsound``.

        Raises:
            SpecError: no such base, or a group over one of them is itself a base of others.
        """
        from graphmerge.symmetry.unsound import flattened

        return flattened(self, bases)

    def to_yaml(self, path: str | Path) -> None:
        """Write the permutation spec; `graphmerge.load_spec` reads it back."""
        from graphmerge.spec import save_spec

        save_spec(self, path)


def _fit(block: Block, shape: tuple[int, ...]) -> Block:
    """``block`` with its open axes as long as ``shape`` says."""
    runs = tuple(Run(0, (n,), (1,)) if UNKNOWN in run.sizes else run for run, n in zip(block.runs, shape))
    return replace(block, runs=runs)
