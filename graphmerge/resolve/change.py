"""Changing a Symmetry: groups pinned, tied, released from their pins, renamed. Nothing here proves anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from graphmerge.errors import SpecError
from graphmerge.symmetry import KINDS, Axis, Block, Group, Move, Pin, Run, Symmetry, members_of

Layout = Mapping[str, tuple[Block, ...]]


def pinned(symmetry: Symmetry, names: Iterable[str], reason: str) -> Symmetry:
    """The same, except that these groups no longer move. What is over them still is."""
    gone = set(names)
    bases = {base for group in symmetry.groups if group.name not in gone for base in group.over}
    pins = [
        Pin(group.members, reason, group.name, group.size) if group.name in bases else Pin(group.members, reason)
        for group in symmetry.groups
        if group.name in gone
    ]
    layout = _edited(symmetry.layout, lambda move: None if move.group in gone else move)
    groups = [group for group in symmetry.groups if group.name not in gone]
    return _with(symmetry, groups, layout, (*symmetry.pinned, *pins))


def tied(symmetry: Symmetry, names: Sequence[str]) -> Symmetry:
    """The same, except that these groups move as one, under the name of the first.

    Raises:
        SpecError: they have different sizes, or are over different groups.
    """
    first = symmetry[names[0]]
    for other in map(symmetry.__getitem__, names[1:]):
        if other.size != first.size:
            raise SpecError(f"{first.name} has {first.size} units, {other.name} has {other.size}; they cannot be tied")
        if other.over != first.over:
            shown = [", ".join(group.over) or "nothing" for group in (first, other)]
            raise SpecError(
                f"{first.name} is over {shown[0]}, {other.name} is over {shown[1]}; tie those first, or leave it"
            )
    # what maps beyond permutations do need not be alike on all of the axes
    groups = [
        replace(g, kind=KINDS[0]) if g is first else g for g in symmetry.groups if g is first or g.name not in names
    ]
    layout = _edited(symmetry.layout, lambda move: replace(move, action=None) if move.group in names else move)
    renamed = _renamed(_with(symmetry, symmetry.groups, layout), dict.fromkeys(names[1:], first.name))
    over = {group.name: group.over for group in renamed.groups}
    return _with(symmetry, [replace(group, over=over[group.name]) for group in groups], renamed.layout)


def released(symmetry: Symmetry, group: Group, pins: Sequence[Pin], shapes: Mapping[str, tuple[int, ...]]) -> Symmetry:
    """The same, except that all axes of these pins are one group.

    Raises:
        SpecError: an axis is cut in another way than the blocks of its tensor, or lacks a base of the group.
    """
    layout = dict(symmetry.layout)
    for axis in dict.fromkeys(axis for pin in pins for axis in pin.axes):
        layout[axis.tensor] = _moved(layout.get(axis.tensor, ()), axis, group, shapes[axis.tensor])
    layout = {key: layout[key] for key in shapes if key in layout}  # in the order of the model
    kept = tuple(pin for pin in symmetry.pinned if pin not in pins)
    known = {key: shapes[key] for key in layout}
    return _with(replace(symmetry, shapes=known), (*symmetry.groups, group), layout, kept)


def renamed(symmetry: Symmetry, names: Mapping[str, str]) -> Symmetry:
    """The same under other names.

    Raises:
        SpecError: two groups would have one name.
    """
    every = [names.get(name, name) for name in symmetry.sizes]
    if twice := [name for name in every if every.count(name) > 1]:
        raise SpecError(f"two groups would be called {twice[0]!r}; take another name")
    return _renamed(symmetry, names)


def _renamed(symmetry: Symmetry, names: Mapping[str, str]) -> Symmetry:
    groups = [
        replace(g, name=names.get(g.name, g.name), over=tuple(names.get(b, b) for b in g.over)) for g in symmetry.groups
    ]
    layout = _edited(symmetry.layout, lambda move: replace(move, group=names.get(move.group, move.group)))
    pins = tuple(replace(pin, name=names.get(pin.name, pin.name)) if pin.name else pin for pin in symmetry.pinned)
    return replace(symmetry, groups=tuple(groups), layout=layout, pinned=pins)


def _moved(blocks: tuple[Block, ...], axis: Axis, group: Group, shape: tuple[int, ...]) -> tuple[Block, ...]:
    """The blocks of a tensor with one more axis that a group moves."""
    (factor,) = axis.part.factors
    run = axis.part.run
    if not any(block.runs[axis.axis] == run for block in blocks):
        units = run.units()
        if any(np.intersect1d(block.runs[axis.axis].units(), units).size for block in blocks):
            shown = f"{axis.tensor}[{axis.axis}]"
            raise SpecError(f"{shown} is cut in another way in the groups that move this tensor; it cannot be released")
        whole = [Run(0, (n,), (1,)) for n in shape]
        whole[axis.axis] = run
        blocks = (*blocks, Block(tuple(whole), ()))
    found = []
    for block in blocks:
        if block.runs[axis.axis] != run:
            found.append(block)
            continue
        dim = sum(len(r.sizes) for r in block.runs[: axis.axis]) + factor
        move = Move(group.name, (dim,), tuple(_base(block, base, axis) for base in group.over))
        found.append(replace(block, moves=tuple(sorted((*block.moves, move), key=lambda m: min(m.dims)))))
    return tuple(sorted(found, key=lambda block: [r.offset for r in block.runs]))


def _base(block: Block, base: str, axis: Axis) -> int:
    dims = [move.dims[0] for move in block.moves if move.group == base]
    near = [dim for dim in dims if block.axis_of(dim) == axis.axis]
    for only in (dims, near):
        if len(only) == 1:
            return only[0]
    shown = f"{axis.tensor}[{axis.axis}]"
    raise SpecError(f"{shown} does not tell which unit of {base!r} it belongs to; leave 'over' away")


def _edited(layout: Layout, edit: Callable[[Move], Move | None]) -> dict[str, tuple[Block, ...]]:
    """Every move edited or dropped; blocks and tensors in which nothing moves any more are left out."""
    found = {}
    for key, blocks in layout.items():
        edited = [replace(b, moves=tuple(m for m in map(edit, b.moves) if m is not None)) for b in blocks]
        if kept := tuple(block for block in edited if block.moves):
            found[key] = kept
    return found


def _with(symmetry: Symmetry, groups: Sequence[Group], layout: Layout, pins: tuple[Pin, ...] | None = None) -> Symmetry:
    """With other groups and blocks; members are read off the blocks."""
    members = members_of(layout)
    return replace(
        symmetry,
        groups=tuple(replace(group, members=members.get(group.name, ())) for group in groups),
        layout=layout,
        shapes={key: symmetry.shapes[key] for key in layout},
        pinned=symmetry.pinned if pins is None else pins,
    )
