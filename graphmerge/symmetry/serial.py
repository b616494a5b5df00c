"""A Symmetry as JSON, for the metadata of saved permutations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphmerge.symmetry.actions import Action
from graphmerge.symmetry.blocks import Axis, Block, Move, Part, Run
from graphmerge.symmetry.groups import Group, Pin, Symmetry
from graphmerge.symmetry.rotary import Rotary


def symmetry_to_json(symmetry: Symmetry) -> dict[str, Any]:
    """Plain lists and dicts; `symmetry_from_json` gives an equal Symmetry."""
    said = {"unsound": list(symmetry.unsound)} if symmetry.unsound else {}
    return said | {
        "model": symmetry.model,
        "notes": list(symmetry.notes),
        "groups": [_group_to_json(g) for g in symmetry.groups],
        "pinned": [
            {"axes": [_axis_to_json(a) for a in p.axes], "reason": p.reason, "name": p.name, "size": p.size}
            for p in symmetry.pinned
        ],
        "layout": _layout_to_json(symmetry.layout),
        "rotary": [{"group": _group_to_json(r.group), "layout": _layout_to_json(r.layout)} for r in symmetry.rotary],
        "optional": sorted(symmetry.optional),
        "shapes": {key: list(shape) for key, shape in symmetry.shapes.items()},
    }


def symmetry_from_json(data: dict[str, Any]) -> Symmetry:
    """Inverse of `symmetry_to_json`."""
    return Symmetry(
        groups=tuple(map(_group_from_json, data["groups"])),
        pinned=tuple(
            Pin(tuple(map(_axis_from_json, p["axes"])), p["reason"], p["name"], p["size"]) for p in data["pinned"]
        ),
        layout=_layout_from_json(data["layout"]),
        shapes={key: tuple(shape) for key, shape in data["shapes"].items()},
        model=data["model"],
        notes=tuple(data["notes"]),
        optional=frozenset(data.get("optional", ())),  # older files know none
        unsound=tuple(data.get("unsound", ())),
        rotary=tuple(
            Rotary(_group_from_json(r["group"]), _layout_from_json(r["layout"])) for r in data.get("rotary", ())
        ),
    )


def _group_to_json(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "size": group.size,
        "over": list(group.over),
        "kind": group.kind,
        "members": [_axis_to_json(a) for a in group.members],
    }


def _group_from_json(data: dict[str, Any]) -> Group:
    members = tuple(map(_axis_from_json, data["members"]))
    return Group(data["name"], data["size"], tuple(data["over"]), members, data["kind"])


def _layout_to_json(layout: Mapping[str, tuple[Block, ...]]) -> dict[str, Any]:
    return {key: [_block_to_json(b) for b in blocks] for key, blocks in layout.items()}


def _layout_from_json(data: dict[str, Any]) -> dict[str, tuple[Block, ...]]:
    return {key: tuple(map(_block_from_json, blocks)) for key, blocks in data.items()}


def _run_to_json(run: Run) -> list[Any]:
    return [run.offset, list(run.sizes), list(run.strides)]


def _run_from_json(data: list[Any]) -> Run:
    return Run(data[0], tuple(data[1]), tuple(data[2]))


def _axis_to_json(axis: Axis) -> list[Any]:
    return [axis.tensor, axis.axis, _run_to_json(axis.part.run), list(axis.part.factors)]


def _axis_from_json(data: list[Any]) -> Axis:
    return Axis(data[0], data[1], Part(_run_from_json(data[2]), tuple(data[3])))


def _block_to_json(block: Block) -> dict[str, Any]:
    return {
        "runs": [_run_to_json(r) for r in block.runs],
        "moves": [[m.group, list(m.dims), list(m.over), _action_to_json(m.action)] for m in block.moves],
    }


def _block_from_json(data: dict[str, Any]) -> Block:
    return Block(
        runs=tuple(map(_run_from_json, data["runs"])),
        moves=tuple(
            Move(group, tuple(dims), tuple(over), _action_from_json(*action))  # older files have no action
            for group, dims, over, *action in data["moves"]
        ),
    )


def _action_to_json(action: Action | None) -> list[Any] | None:
    return None if action is None else [action.side, list(action.scales), list(action.signs)]


def _action_from_json(data: list[Any] | None = None) -> Action | None:
    return None if data is None else Action(data[0], tuple(data[1]), tuple(data[2]))
