"""What a Symmetry's JSON keeps that equality does not see: how the maps of each group's kind act."""

from __future__ import annotations

import json

from graphmerge.symmetry import Action, Symmetry
from graphmerge.symmetry.serial import symmetry_from_json, symmetry_to_json
from tests.families import traced


def actions_of(symmetry: Symmetry) -> list[Action | None]:
    return [m.action for blocks in symmetry.layout.values() for b in blocks for m in b.moves]


def test_actions_are_kept() -> None:
    symmetry = traced("Llama").symmetry()
    assert {a.side for a in actions_of(symmetry) if a} == {"primal", "dual", "still"}
    again = symmetry_from_json(json.loads(json.dumps(symmetry_to_json(symmetry))))
    assert again == symmetry
    assert actions_of(again) == actions_of(symmetry)


def test_files_from_before_there_were_actions() -> None:
    symmetry = traced("Llama").symmetry()
    data = symmetry_to_json(symmetry)
    for blocks in data["layout"].values():
        for block in blocks:
            block["moves"] = [move[:3] for move in block["moves"]]
    old = symmetry_from_json(data)
    assert old == symmetry
    assert set(actions_of(old)) == {None}
