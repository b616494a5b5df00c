"""Symmetries in name only: with more freedom than leaves the function unchanged, as some studies of merging try them.

What is made of them says so: `Symmetry.unsound` holds the reasons, goes into saved permutations and comes out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from graphmerge.errors import SpecError
from graphmerge.symmetry.blocks import Axis, Block, Move
from graphmerge.symmetry.members import members_of

if TYPE_CHECKING:
    from graphmerge.symmetry.groups import Group, Symmetry

Place = tuple[str, int]  # a tensor and one of its axes


def untied(symmetry: Symmetry, group: str, places: Mapping[Place, int] | None) -> Symmetry:
    """``group`` taken apart into one group for each number of ``places``; see `Symmetry.untie`."""
    whole = symmetry[group]
    if over := [g.name for g in symmetry.groups if group in g.over]:
        raise SpecError(f"{group} cannot be untied: {over[0]} is over it")
    acting = dict.fromkeys((a.tensor, a.axis) for a in members_of(symmetry.layout)[group])
    numbers = dict(zip(acting, range(len(acting)))) if places is None else places
    if lacking := [place for place in acting if place not in numbers]:
        raise SpecError(f"{group} cannot be untied: {lacking[0][0]}[{lacking[0][1]}] has no place")
    scope, _, own = group.rpartition(".")
    names = {n: f"{scope}{'.' if scope else ''}reads.{n}.{own}" for n in sorted({numbers[p] for p in acting})}
    if taken := sorted(set(names.values()) & symmetry.sizes.keys()):
        raise SpecError(f"{group} cannot be untied: there is a group {taken[0]} already")

    def apart(key: str, block: Block) -> Block:
        return replace(block, moves=tuple(of_place(key, block, move) for move in block.moves))

    def of_place(key: str, block: Block, move: Move) -> Move:
        if move.group != group:
            return move
        return Move(names[numbers[key, block.axis_of(move.dims[0])]], move.dims, move.over)

    parts = [_plain(whole, name, whole.size) for name in names.values()]
    groups = [g for one in symmetry.groups for g in (parts if one is whole else [one])]
    reason = f"{group} is untied: a permutation of its own at each of {len(names)} places"
    return _derived(symmetry, groups, apart, reason)


def flattened(symmetry: Symmetry, bases: Iterable[str]) -> Symmetry:
    """Groups over ``bases`` made groups of joint units; see `Symmetry.flatten`."""
    ignored = set(bases)
    if unknown := sorted(ignored - symmetry.sizes.keys()):
        raise SpecError(f"there is no group or named pin {unknown[0]!r}; there are {', '.join(symmetry.sizes)}")
    groups = []
    for g in symmetry.groups:
        if g.name in ignored:
            continue
        left = tuple(base for base in g.over if base not in ignored)
        if inner := [b for b in left if b in symmetry.by_name and ignored & set(symmetry[b].over)]:
            raise SpecError(f"{g.name} is over {inner[0]}, which is over what is ignored; ignore that too")
        size = g.size
        for base in set(g.over) - set(left):
            size *= symmetry.sizes[base]
        groups.append(replace(_plain(g, g.name, size), over=left) if left != g.over else g)

    def joint(_key: str, block: Block) -> Block:
        return replace(block, moves=tuple(joined(m) for m in block.moves if m.group not in ignored))

    def joined(move: Move) -> Move:
        over = symmetry[move.group].over
        if not ignored & set(over):
            return move
        merged = tuple(dim for base, dim in zip(over, move.over) if base in ignored)
        left = tuple(dim for base, dim in zip(over, move.over) if base not in ignored)
        return Move(move.group, (*merged, *move.dims), left)

    reason = f"{', '.join(sorted(ignored))} ignored: one permutation over the units of all of them together"
    found = _derived(symmetry, groups, joint, reason)
    for key, blocks in found.layout.items():
        for block in blocks:
            dims = [d for move in block.moves for d in move.dims]
            if len(set(dims)) < len(dims):
                raise SpecError(f"two groups would move the same units of {key}; {reason} means nothing here")
    return found


def _plain(group: Group, name: str, size: int) -> Group:
    return replace(group, name=name, size=size, kind="permutation")


def _derived(symmetry: Symmetry, groups: Iterable[Group], of: Callable[[str, Block], Block], reason: str) -> Symmetry:
    """The symmetry with other groups and blocks, and the reason why it is none."""
    layout = {key: tuple(of(key, block) for block in blocks) for key, blocks in symmetry.layout.items()}
    members: Mapping[str, tuple[Axis, ...]] = members_of(layout)
    return replace(
        symmetry,
        groups=tuple(replace(g, members=members.get(g.name, ())) for g in groups),
        layout=layout,
        unsound=(*symmetry.unsound, reason),
        rotary=(),
        trace=None,
        places={},
        comments={},
    )
