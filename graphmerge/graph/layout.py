"""From solved leaves to a Symmetry: how each tensor of the state dict is cut into blocks, and what moves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphmerge.algebra import Factor, Leaf, Solution, SolvedBox
from graphmerge.graph.kinds import LeafKind
from graphmerge.graph.rotary import RotaryLeaf, Turned
from graphmerge.symmetry import Action, Axis, Block, Group, Move, Part, Pin, Rotary, Run, members_of


def layout_of(
    solution: Solution, keys: Mapping[str, str], names: Mapping[int, str], kinds: Mapping[int, LeafKind]
) -> dict[str, tuple[Block, ...]]:
    """Blocks of every state-dict key that a group moves. ``keys`` maps each key to the traced tensor's name."""
    made: dict[str, tuple[Block, ...]] = {}
    layout = {}
    for key, tensor in keys.items():
        if tensor not in made:
            blocks = [_block(box, solution.leaves, names, kinds) for box in solution.boxes.get(tensor, [])]
            made[tensor] = tuple(sorted((b for b in blocks if b.moves), key=lambda b: [r.offset for r in b.runs]))
        if made[tensor]:
            layout[key] = made[tensor]
    return layout


def _block(
    box: SolvedBox, leaves: Mapping[int, Leaf], names: Mapping[int, str], kinds: Mapping[int, LeafKind]
) -> Block:
    kept = [f for f in box.factors if f.size > 1]
    place = {id(f): dim for dim, f in enumerate(kept)}
    moves = []
    for factor in kept:
        leaf = leaves.get(factor.leaf)
        if leaf is None or leaf.pinned is not None or factor.leaf not in names:
            continue
        dims = (place[id(factor)],) if factor.inner is None else (place[id(factor)], place[id(factor.inner)])
        action = kinds[factor.leaf].actions[factor.occurrences[0]]
        moves.append(Move(names[factor.leaf], dims, tuple(place[id(f)] for f in factor.over), action))
    return Block(tuple(run(box, axis, kept) for axis in range(len(box.offsets))), tuple(moves))


def run(box: SolvedBox, axis: int, kept: Sequence[Factor]) -> Run:
    """The units of one axis of a box."""
    own = [f for f in kept if f.axis == axis]
    return Run(box.offsets[axis], tuple(f.size for f in own), tuple(f.stride for f in own))


def groups_of(
    solution: Solution,
    layout: Mapping[str, Sequence[Block]],
    names: Mapping[int, str],
    kinds: Mapping[int, LeafKind],
) -> tuple[Group, ...]:
    """Groups in model order: by the first axis of each."""
    leaf_of = {name: leaf for leaf, name in names.items()}
    groups = []
    for name, axes in members_of(layout).items():
        leaf = solution.leaves[leaf_of[name]]
        over = tuple(names[base] for base in leaf.over)
        groups.append(Group(name, leaf.size, over, axes, kinds[leaf.name].kind))
    return tuple(groups)


def pins_of(
    solution: Solution, keys: Mapping[str, str], names: Mapping[int, str], reasons: Mapping[int, str]
) -> tuple[Pin, ...]:
    """Pinned leaves with their axes in model order; those that a group is over have a name and a size."""
    axes: dict[int, list[Axis]] = {}
    for key, tensor in keys.items():
        for box in solution.boxes.get(tensor, []):
            kept = [f for f in box.factors if f.size > 1]
            for axis in range(len(box.offsets)):
                own = [f for f in kept if f.axis == axis]
                for position, factor in enumerate(own):
                    if solution.leaves[factor.leaf].pinned is not None:
                        part = Part(run(box, axis, kept), (position,))
                        axes.setdefault(factor.leaf, []).append(Axis(key, axis, part))
    return tuple(
        Pin(
            tuple(dict.fromkeys(found)),
            reasons[leaf],
            names.get(leaf),
            solution.leaves[leaf].size if leaf in names else None,
        )
        for leaf, found in axes.items()
    )


def rotary_of(
    solution: Solution, keys: Mapping[str, str], names: Mapping[int, str], leaf: RotaryLeaf, name: str
) -> Rotary:
    """Where complex numbers may act on queries and keys, as blocks that are viewed by their frequency pairs."""
    over = tuple(base for base in leaf.over if base in names)
    blocks = {
        key: tuple(
            block
            for turned in leaf.axes
            if turned.tensor == tensor
            for block in _rotary_blocks(solution, leaf, turned, over, name)
        )
        for key, tensor in keys.items()
        if any(turned.tensor == tensor for turned in leaf.axes)
    }
    members = members_of(blocks)[name]
    size = 2 * leaf.axes[0].pairs
    return Rotary(Group(name, size, tuple(names[base] for base in over), members, "rotary"), blocks)


def _rotary_blocks(solution: Solution, leaf: RotaryLeaf, turned: Turned, over: Sequence[int], name: str) -> list[Block]:
    """One block where the boxes of a parameter differ in their units of the pairs only."""
    found: dict[object, Block] = {}
    slots = [solution.leaves[leaf.leaves[0]].over.index(base) for base in over]
    for box in solution.boxes[turned.tensor]:
        mine = [f for f in box.factors if f.leaf in leaf.leaves]
        if not mine or box.offsets[turned.axis] not in turned.starts:
            continue
        kept = [f for f in box.factors if f.size > 1 and f not in mine]
        runs = [run(box, axis, kept) for axis in range(len(box.offsets))]
        heads = runs[turned.axis]
        sizes, strides = (*heads.sizes, turned.pairs, 2), (*heads.strides, turned.stride, turned.gap)
        runs[turned.axis] = Run(turned.start, sizes, strides)
        ordered = [f for axis in range(len(runs)) for f in [*(f for f in kept if f.axis == axis), *_pair(axis, turned)]]
        first = ordered.index(None)
        chooser = next(f for f in mine if f.leaf == leaf.leaves[0])
        places = tuple(ordered.index(chooser.over[slot]) for slot in slots)
        move = Move(name, (first, first + 1), places, Action(turned.side))
        block = Block(tuple(runs), (move,))
        found.setdefault((block.runs, move.dims, move.over), block)
    return list(found.values())


def _pair(axis: int, turned: Turned) -> list[None]:
    """The two factors of the pairs, which no factor of the boxes is."""
    return [None, None] if axis == turned.axis else []
