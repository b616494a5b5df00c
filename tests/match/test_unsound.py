"""Options that change the function: only where that is allowed, and labelled in everything that comes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import graphmerge as gm
from graphmerge.errors import InputError
from graphmerge.evaluate import Curve
from graphmerge.match.options import MatchOptions
from graphmerge.report import barrier_rows
from tests.match.specs import MODELS, RESIDUAL, batches, bert, gpt2, llama
from tests.match.test_options import P, Q, Stream, drawn

SEPARATE = MatchOptions(residual_features="separate", allow_unsound=True)
IGNORED = MatchOptions(heads="ignored", allow_unsound=True)


@pytest.mark.parametrize("options", [{"residual_features": "separate"}, {"heads": "ignored"}], ids=str)
def test_it_is_refused_unless_it_is_allowed(options):
    model, symmetry = gpt2()
    with pytest.raises(InputError, match="changes the function of the model; to do so all the same, add allow_un"):
        gm.match(model, model, symmetry, "activations", batches(1), options=MatchOptions(**options))


def test_the_residual_is_matched_place_by_place():
    """The order of the first reading at the first place, that of the second at the second."""
    early, late = drawn(60, 1), 30 * drawn(60, 2)
    a, b = Stream(early, late), Stream(early[:, P], late[:, Q])
    data = [{"input_ids": torch.arange(60).reshape(6, 10)}]
    symmetry = gm.trace(a, (data[0]["input_ids"],)).symmetry()
    found = gm.match(a, b, symmetry, "activations", data, groups="residual", options=SEPARATE)
    assert found.groups == ("reads.0.residual", "reads.1.residual")
    assert list(found.permutations.arrays["reads.0.residual"]) == list(np.argsort(P))
    assert list(found.permutations.arrays["reads.1.residual"]) == list(np.argsort(Q))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("options", [SEPARATE, IGNORED], ids=["separate", "ignored"])
def test_a_planted_element_is_recovered_in_more_freedom(name, options):
    """What preserves the function is among what does not: the same weights come out."""
    model, symmetry = MODELS[name]()
    p = symmetry.random(3, tuple(n for n in symmetry.by_name if not n.endswith("query_heads")))
    other = p.apply(model)
    found = gm.match(model, other, symmetry, "activations", batches(8), groups="*", options=options)
    state, expected = found.permutations.apply(other).state_dict(), model.state_dict()
    moved = [key for key in expected if "k_proj" not in key and "q_proj" not in key]  # heads alone stand still there
    assert all(torch.equal(state[key], expected[key]) for key in (expected if options is SEPARATE else moved))
    assert not found.preserving


def test_heads_are_ignored_by_weights_too():
    model, symmetry = bert()
    flat = symmetry.flatten("layers.0.heads", "layers.1.heads")
    p = flat.random(5)
    found = gm.match(model, p.apply(model), symmetry, "weights", options=IGNORED)
    assert found.permutations.arrays["layers.0.v"].shape == (RESIDUAL,)
    assert found.permutations == p.inverse()


def test_layers_that_take_no_part_keep_their_heads():
    model, symmetry = bert()
    found = gm.match(model, model, symmetry, "activations", batches(4), groups="layers.0.heads,ffn", options=IGNORED)
    assert found.permutations.symmetry["layers.0.v"].over == ()
    assert found.permutations.symmetry["layers.1.v"].over == ("layers.1.heads",)
    assert found.groups == ("layers.0.ffn", "layers.1.ffn", "layers.0.qk", "layers.0.v") or set(found.groups) == {
        "layers.0.ffn", "layers.1.ffn", "layers.0.qk", "layers.0.v",
    }  # fmt: skip


def test_groups_are_chosen_among_more_freedom():
    model, symmetry = gpt2()
    other = symmetry.random(0).apply(model)
    found = gm.match(model, other, symmetry, "activations", batches(6), options=SEPARATE)
    assert found.permutations.apply(other).state_dict().keys() == model.state_dict().keys()
    assert "groups chosen by the barrier halfway" in found.notes[-1]
    assert {"reads.0.residual", "reads.3.residual"} <= set(found.groups)


def different() -> tuple[torch.nn.Module, torch.nn.Module, gm.Symmetry]:
    (model, symmetry), other = gpt2(), gpt2()[0]
    for n, parameter in enumerate(other.parameters()):
        torch.manual_seed(n)
        torch.nn.init.normal_(parameter, std=0.3)
    return model, other, symmetry


def test_the_match_says_so():
    found = gm.match(*different(), "activations", batches(2), groups="residual", options=SEPARATE)
    reason = "residual is untied: a permutation of its own at each of 4 places"
    assert not found.preserving
    assert found.notes[0] == f"not function-preserving: {reason}"
    data = json.loads(found.to_json())
    assert data["unsound"] == [reason]
    assert data["options"]["allow_unsound"] is True
    plain = gm.match(*different(), "activations", batches(2), groups="residual")
    assert plain.preserving
    assert json.loads(plain.to_json())["unsound"] == []


def test_the_curve_says_so_and_ends_at_b(tmp_path):
    model, other, symmetry = different()
    found = gm.match(model, other, symmetry, "activations", batches(2), groups="residual", options=SEPARATE)
    curve = gm.barrier(model, other, batches(2), found.permutations, points=5)
    assert curve.unsound == found.permutations.symmetry.unsound
    assert curve.vanilla is not None
    assert curve.losses[-1] != curve.vanilla[-1]  # B moved is not what B is
    assert curve.excess[-1] == curve.losses[-1] - curve.vanilla[-1]
    middle = curve.losses[2] - (curve.losses[0] + curve.vanilla[-1]) / 2
    assert np.isclose(curve.excess[2], middle)
    assert Curve.from_json(curve.to_json(tmp_path / "curve.json")) == curve
    assert barrier_rows({"separate": curve})[1].method == "separate (not function-preserving)"
    curve.plot(tmp_path / "curve.png")
    alone = gm.barrier(model, other, batches(2), found.permutations, points=5, vanilla=False)
    with pytest.raises(InputError, match="there is no chord without vanilla losses"):
        _ = alone.barrier


def test_a_curve_of_before_is_still_read():
    sound = Curve((0.0, 0.5, 1.0), losses=(1.0, 1.5, 1.0), vanilla=None, positions=64, seconds=0.1)
    assert "unsound" not in json.loads(sound.to_json())
    assert Curve.from_json(sound.to_json()) == sound


@pytest.mark.parametrize(
    ("options", "groups", "message"),
    [
        (SEPARATE, "ffn", "residual_features: separate needs a residual that takes part; there are layers.0.ffn"),
        (IGNORED, "ffn", "heads: ignored needs heads with groups inside that take part; there are layers.0.ffn"),
    ],
)
def test_what_means_nothing_is_refused(options, groups, message):
    model, symmetry = gpt2()
    with pytest.raises(InputError, match=message):
        gm.match(model, model, symmetry, "activations", batches(1), groups=groups, options=options)


def test_one_place_cannot_be_separated():
    model, symmetry = llama(layers=1)
    only = {key: blocks for key, blocks in symmetry.layout.items() if "lm_head" in key}
    bare = gm.Symmetry((symmetry["residual"],), (), only, {key: symmetry.shapes[key] for key in only})
    with pytest.raises(InputError, match="separate finds one place alone where residual is read"):
        gm.match(model, model, bare, "activations", batches(1), options=SEPARATE)
