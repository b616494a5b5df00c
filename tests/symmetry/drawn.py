"""Random symmetries to test with: groups over groups, fused axes, interleaved sums, groups of pairs on two axes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from graphmerge.symmetry import Axis, Block, Group, Move, Part, Permutations, Pin, Run, Symmetry, members_of

PINNED = "pinned"
LARGEST = 2000  # entries of a tensor, so that the slow reference stays quick


@dataclass(frozen=True)
class Atom:
    """One factor of a segment: part ``part`` (0, or 0 and 1 for a pair) of a group or pin, or no name: fixed."""

    name: str | None
    size: int
    part: int | None = None


Segment = tuple[int, tuple[tuple[int, Atom], ...]]  # offset, (stride, atom) of each factor


@st.composite
def symmetries(draw: st.DrawFn) -> Symmetry:
    """A Symmetry of up to four groups (over one another to depth two) on up to three tensors of up to three axes."""
    groups = _draw_groups(draw)
    sizes = {PINNED: 2} | {g.name: g.size for g in groups}
    layout, shapes = {}, {}
    for number in range(draw(st.integers(1, 3))):
        axes = draw(st.one_of(st.lists(_axis(groups, sizes), min_size=1, max_size=2), _spread(groups, sizes)))
        if math.prod(length for length, _ in axes) > LARGEST:
            continue
        blocks = [_block(parts, groups) for parts in itertools.product(*(segments for _, segments in axes))]
        if moving := tuple(b for b in blocks if b.moves):
            layout[f"layers.{number}.weight"] = moving
            shapes[f"layers.{number}.weight"] = tuple(length for length, _ in axes)
    members = members_of(layout)
    used = {b for g in groups if g.name in members for b in g.over} | set(members)
    found = tuple(Group(g.name, g.size, g.over, members[g.name]) for g in groups if g.name in members)
    pinned = (Pin(_pinned_axes(layout), "held for the test", PINNED, 2),) if PINNED in used else ()
    return Symmetry(found, pinned, layout, shapes, model="Drawn")


def _draw_groups(draw: st.DrawFn) -> list[Group]:
    groups: list[Group] = []
    for name in ("layers.0.heads", "layers.0.v", "layers.0.w", "residual")[: draw(st.integers(1, 4))]:
        bases = draw(st.lists(st.sampled_from([*(g.name for g in groups[::-1]), PINNED]), max_size=2, unique=True))
        inherited = [b for base in bases for g in groups if g.name == base for b in g.over]
        over = tuple(dict.fromkeys([*inherited, *bases]))
        groups.append(Group(name, draw(st.sampled_from([2, 3, 4])), over))
    return groups


@st.composite
def _axis(draw: st.DrawFn, groups: list[Group], sizes: dict[str, int]) -> tuple[int, list[Segment]]:
    """Length and segments of an axis: a sum of products, or a product with a sum inside."""
    products = st.lists(_atoms(groups, sizes), min_size=1, max_size=2).map(lambda lists: [a for x in lists for a in x])
    outer = draw(st.one_of(st.just([]), products))
    window, offset, segments = 0, 0, []
    inner = draw(st.lists(products, min_size=1, max_size=2))
    window = sum(math.prod(a.size for a in atoms) for atoms in inner)
    for atoms in inner:
        segments.append((offset, _strided(outer, window) + _strided(atoms, 1)))
        offset += math.prod(a.size for a in atoms)
    return window * math.prod(a.size for a in outer), segments


@st.composite
def _atoms(draw: st.DrawFn, groups: list[Group], sizes: dict[str, int]) -> list[Atom]:
    """One group with the bases that it is over in any order, one as a pair, or a fixed factor."""
    name = draw(st.sampled_from([None, *(g.name for g in groups)]))
    if name is None:
        return [Atom(None, draw(st.integers(2, 3)))]
    group = next(g for g in groups if g.name == name)
    own = [Atom(name, group.size)]
    if group.size == 4 and draw(st.booleans()):
        own = [Atom(name, 2, 0), Atom(name, 2, 1)]
    return draw(st.permutations([*(Atom(base, sizes[base]) for base in group.over), *own]))


@st.composite
def _spread(draw: st.DrawFn, groups: list[Group], sizes: dict[str, int]) -> list[tuple[int, list[Segment]]]:
    """Three axes of one segment each: the factors of a group and its bases, and fixed ones, over all of them."""
    atoms = draw(_atoms(groups, sizes)) + draw(_atoms(groups, sizes))
    cuts = sorted(draw(st.lists(st.integers(0, len(atoms)), min_size=2, max_size=2)))
    shares = [atoms[: cuts[0]], atoms[cuts[0] : cuts[1]], atoms[cuts[1] :]]
    return [(math.prod(a.size for a in share), [(0, _strided(share, 1))]) for share in shares]


def _strided(atoms: list[Atom], inner: int) -> tuple[tuple[int, Atom], ...]:
    sizes = [a.size for a in atoms]
    return tuple((inner * math.prod(sizes[k + 1 :]), atom) for k, atom in enumerate(atoms))


def _block(parts: tuple[Segment, ...], groups: list[Group]) -> Block:
    """The box of one segment on each axis; a group moves there if all its bases do (or are pinned) just once."""
    runs = tuple(
        Run(offset, tuple(a.size for _, a in factors), tuple(s for s, _ in factors)) for offset, factors in parts
    )
    atoms = [a for _, factors in parts for _, a in factors]
    moves: dict[str, Move] = {}
    for group in groups:
        own = [d for d, a in enumerate(atoms) if a.name == group.name]
        parts_of = [atoms[d].part for d in own]
        standing = {b: [d for d, a in enumerate(atoms) if a.name == b and a.part is None] for b in group.over}
        moving = all(len(d) == 1 and (b == PINNED or b in moves) for b, d in standing.items())
        if moving and parts_of in ([None], [0, 1], [1, 0]):
            dims = tuple(sorted(own, key=lambda d: atoms[d].part or 0))
            moves[group.name] = Move(group.name, dims, tuple(standing[b][0] for b in group.over))
    return Block(runs, tuple(sorted(moves.values(), key=lambda m: min(m.dims))))


def _pinned_axes(layout: dict[str, tuple[Block, ...]]) -> tuple[Axis, ...]:
    """Where groups say that the pinned leaf stands."""
    found = {}
    for key, blocks in layout.items():
        for block in blocks:
            for move in block.moves:
                for dim in move.over:
                    if not any(dim in m.dims for m in block.moves):
                        axis = block.axis_of(dim)
                        found[Axis(key, axis, Part(block.runs[axis], (block.factor_of(dim),)))] = None
    return tuple(found)


def state_of(symmetry: Symmetry, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights that fit, and one tensor that nothing moves."""
    rng = torch.Generator().manual_seed(seed)
    state = {key: torch.rand(shape, generator=rng) for key, shape in symmetry.shapes.items()}
    return {"free.weight": torch.rand(2, generator=rng)} | state


def move_slowly(p: Permutations, key: str, tensor: np.ndarray) -> np.ndarray:
    """What `Permutations.apply` should do to one tensor, entry by entry."""
    out = tensor.copy()
    for block in p.symmetry.layout[key]:
        units = [run.units().reshape(-1) for run in block.runs]
        for entry in itertools.product(*(range(n) for n in block.sizes)):
            source = list(entry)
            for move in block.moves:
                array = p.arrays[move.group][tuple(entry[d] for d in move.over)]
                sizes = tuple(block.sizes[d] for d in move.dims)
                joint = int(np.ravel_multi_index(tuple(entry[d] for d in move.dims), sizes))
                for d, index in zip(move.dims, np.unravel_index(int(array[joint]), sizes)):
                    source[d] = int(index)
            out[_position(block, units, entry)] = tensor[_position(block, units, source)]
    return out


def _position(block: Block, units: list[np.ndarray], entry) -> tuple[int, ...]:
    """Where an index over the block's factors stands in the tensor."""
    position, first = [], 0
    for run, own in zip(block.runs, units):
        index = entry[first : first + len(run.sizes)]
        position.append(int(own[np.ravel_multi_index(tuple(index), run.sizes)] if run.sizes else own[0]))
        first += len(run.sizes)
    return tuple(position)
