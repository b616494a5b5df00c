"""Freedom that changes the function: what it moves, that it is labelled, and that the verification sees it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import graphmerge as gm
from graphmerge.errors import SpecError
from graphmerge.report import symmetry_data, symmetry_report
from graphmerge.report.render import to_text
from graphmerge.stats.places import reading_places
from graphmerge.symmetry import Group, Pin, Symmetry
from graphmerge.symmetry.serial import symmetry_from_json, symmetry_to_json
from tests.match.specs import HEADS, MODELS, RESIDUAL, batches, bert, gpt2, llama
from tests.spec.tiny_families import tiny


def heads_of(symmetry: Symmetry) -> list[str]:
    return [name for name in symmetry.by_name if name.endswith("heads")]


def test_a_residual_is_untied_place_by_place():
    """As the study does it: a norm, what is written to it and what reads it are one place."""
    model, symmetry = gpt2(layers=1)
    places = reading_places(model, batches(1)[0], symmetry, "residual")
    found = symmetry.untie("residual", places)
    assert [g.name for g in found.groups][:2] == ["reads.0.residual", "reads.1.residual"]
    assert {(a.tensor, a.axis) for a in found["reads.1.residual"].members} == {
        ("transformer.h.0.attn.c_proj.weight", 1), ("transformer.h.0.attn.c_proj.bias", 0),
        ("transformer.h.0.ln_2.weight", 0), ("transformer.h.0.ln_2.bias", 0), ("transformer.h.0.mlp.c_fc.weight", 0),
    }  # fmt: skip
    # the embedding is the head too, so the first place is the last
    assert {"transformer.wte.weight", "lm_head.weight", "transformer.ln_f.weight"} <= {
        a.tensor for a in found["reads.0.residual"].members
    }
    assert symmetry.preserving
    assert not found.preserving
    assert found.unsound == ("residual is untied: a permutation of its own at each of 2 places",)


@pytest.mark.parametrize("name", MODELS)
def test_every_place_is_that_of_one_norm(name):
    model, symmetry = MODELS[name]()
    places = reading_places(model, batches(1)[0], symmetry, "residual")
    assert len(set(places.values())) == {"gpt2": 4, "bert": 5, "llama": 5}[name]
    norms = {key.rpartition(".")[0] for key in symmetry.layout if "norm" in key.lower() or "ln_" in key}
    for norm in norms:
        assert len({n for (key, _), n in places.items() if key.startswith(norm + ".")}) == 1
    readers = [("query", "key", "value"), ("gate_proj", "up_proj"), ("q_proj", "k_proj", "v_proj")]
    for together in readers:
        for k in (0, 1):
            at = [
                n for (key, axis), n in places.items()
                if axis == 1 and f".{k}." in key and key.split(".")[-2] in together
            ]  # fmt: skip
            assert len(set(at)) <= 1


def test_shared_layers_are_one_place():
    model = tiny("albert")
    symmetry = gm.trace(model).symmetry()
    (residual,) = [name for name in symmetry.by_name if name.endswith("residual")]
    ids = {"input_ids": torch.randint(3, 9, (2, 7))}
    assert len(set(reading_places(model, ids, symmetry, residual).values())) < 4


def test_the_verification_sees_it():
    for name in ("gpt2", "llama"):
        model = tiny(name)
        symmetry = gm.trace(model).symmetry()
        ids = {"input_ids": torch.randint(3, 9, (2, 7))}
        assert gm.verify(model, symmetry).ok
        untied = symmetry.untie("residual", reading_places(model, ids, symmetry, "residual"))
        assert not gm.verify(model, untied).ok
        flat = symmetry.flatten(*heads_of(symmetry))
        found = gm.verify(model, flat)
        assert not found.ok
        assert {g.rpartition(".")[2] for g in found.culprits} <= {"qk", "v"}
        assert found.culprits


def test_without_places_every_axis_moves_by_itself():
    _, symmetry = bert(layers=1)
    found = symmetry.untie("residual")
    apart = [g for g in found.groups if g.name.startswith("reads.")]
    assert len(apart) == len({(a.tensor, a.axis) for a in symmetry["residual"].members})
    assert all(len(g.members) == 1 for g in apart)


def test_flat_heads_move_units_from_head_to_head():
    model, symmetry = bert(layers=1)
    flat = symmetry.flatten("layers.0.heads")
    assert [(g.name, g.size, g.over) for g in flat.groups] == [
        ("residual", RESIDUAL, ()), ("layers.0.ffn", 20, ()), ("layers.0.qk", RESIDUAL, ()),
        ("layers.0.v", RESIDUAL, ()),
    ]  # fmt: skip
    p = flat.random(1, ("layers.0.v",))
    moved = p.apply(model).state_dict()
    at, array = "bert.encoder.layer.0.attention", p.arrays["layers.0.v"].copy()
    before = model.state_dict()
    assert torch.equal(moved[f"{at}.self.value.weight"], before[f"{at}.self.value.weight"][array])
    assert torch.equal(moved[f"{at}.output.dense.weight"], before[f"{at}.output.dense.weight"][:, array])
    assert torch.equal(moved[f"{at}.self.query.weight"], before[f"{at}.self.query.weight"])
    assert (p @ p.inverse()).is_identity


def test_whole_heads_are_among_the_flat_ones():
    """What heads do with what is inside of them is one permutation of the joint units, tensor for tensor."""
    model, symmetry = llama(layers=1)
    flat = symmetry.flatten(*heads_of(symmetry))
    p = symmetry.random(3, ("layers.0.v",))
    joint = (np.arange(HEADS)[:, None] * 4 + p.arrays["layers.0.v"]).reshape(-1)
    q = gm.Permutations(flat, {"layers.0.v": joint})
    for key, tensor in p.apply(model).state_dict().items():
        assert torch.equal(q.apply(model).state_dict()[key], tensor)


def test_heads_that_a_pin_holds_can_be_ignored_too():
    _, symmetry = llama(layers=1)
    heads = Pin((), "by alibi", "layers.0.heads", HEADS)
    blocks = {
        key: tuple(gm.symmetry.Block(b.runs, tuple(m for m in b.moves if "heads" not in m.group)) for b in blocks)
        for key, blocks in symmetry.layout.items()
    }
    groups = tuple(g for g in symmetry.groups if "heads" not in g.name)
    pinned = Symmetry(groups, (*symmetry.pinned, heads), blocks, symmetry.shapes)
    assert pinned.flatten("layers.0.heads")["layers.0.v"].size == HEADS * 4


def test_the_label_is_saved_and_shown(tmp_path):
    _, symmetry = gpt2(layers=1)
    flat = symmetry.flatten("layers.0.heads")
    assert symmetry_from_json(json.loads(json.dumps(symmetry_to_json(flat)))) == flat
    assert "unsound" not in symmetry_to_json(symmetry)  # files of before stay what they are
    flat.random(0).save(tmp_path / "p.safetensors")
    again = gm.Permutations.load(tmp_path / "p.safetensors")
    assert again.symmetry.unsound == flat.unsound
    assert not again.inverse().symmetry.preserving
    assert "not function-preserving: layers.0.heads ignored" in to_text(symmetry_report(flat))
    assert symmetry_data(flat)["unsound"] == list(flat.unsound)
    assert symmetry_data(symmetry)["unsound"] == []
    with pytest.raises(SpecError, match="a spec holds what leaves the function unchanged, and this does not"):
        flat.to_yaml(tmp_path / "flat.yaml")


def test_errors():
    _, symmetry = gpt2(layers=1)
    with pytest.raises(KeyError):
        symmetry.untie("residuals")
    with pytest.raises(SpecError, match=r"layers\.0\.heads cannot be untied: layers\.0\.qk is over it"):
        symmetry.untie("layers.0.heads")
    with pytest.raises(SpecError, match=r"residual cannot be untied: transformer\.wte\.weight\[1\] has no place"):
        symmetry.untie("residual", {})
    with pytest.raises(SpecError, match="there is no group or named pin 'head'; there are residual"):
        symmetry.flatten("head")
    named = Symmetry((Group("residual", 4), Group("reads.0.residual", 4)), (), {}, {})
    with pytest.raises(SpecError, match=r"there is a group reads\.0\.residual already"):
        Symmetry(named.groups, (), dict(symmetry.layout), dict(symmetry.shapes)).untie("residual")
    inner = Symmetry((Group("h", 2), Group("q", 2, ("h",)), Group("d", 4, ("h", "q"))), (), {}, {})
    with pytest.raises(SpecError, match="d is over q, which is over what is ignored; ignore that too"):
        inner.flatten("h")
    assert [(g.name, g.size, g.over) for g in inner.flatten("h", "q").groups] == [("d", 16, ())]
