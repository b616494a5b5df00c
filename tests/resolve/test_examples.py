"""The two hand-written examples: sound, complete where that can be said, and useful."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

import graphmerge as gm
from graphmerge.checkpoint import load_model

FOLDER = Path(__file__).parents[2] / "specs" / "examples"


def test_the_decoder_is_what_is_derived():
    loaded = load_model(f"{FOLDER / 'decoder.py'}:model")
    spec = gm.load_spec(FOLDER / "decoder.yaml", loaded.model)
    found = gm.check(loaded.model, spec, loaded.example_inputs)
    assert found.equal, str(found)
    assert len(found.names) == 16
    verified = gm.verify(loaded.model, spec, loaded.example_inputs)
    assert verified.ok
    assert verified.untested == ()


@pytest.fixture
def ragged():
    loaded = load_model(f"{FOLDER / 'refused.py'}:model")
    return loaded.model.double(), loaded.example_inputs[0]


def test_the_ragged_encoder_is_refused_and_its_spec_holds(ragged):
    model, sentences = ragged
    with pytest.raises(gm.TraceError, match="could not be traced"):
        gm.trace(model, (sentences,))
    spec = gm.load_spec(FOLDER / "refused.yaml", model)
    with torch.no_grad():
        expected = model(sentences)
        for seed in range(3):
            moved = spec.random(seed).apply(model)
            assert not torch.equal(moved.up[0].weight, model.up[0].weight)
            torch.testing.assert_close(moved(sentences), expected, rtol=1e-12, atol=1e-12)
        wrong = copy.deepcopy(model)
        wrong.up[0].bias.data = spec.random(0).apply(model).up[0].bias.data
        assert (wrong(sentences) - expected).abs().max() > 1e-3


def test_two_ragged_encoders_are_matched(ragged):
    """A permutation planted with the spec comes back from matching with it."""
    model, _ = ragged
    spec = gm.load_spec(FOLDER / "refused.yaml", model)
    planted = spec.random(5)
    found = gm.match(model, planted.apply(model), spec, method="weights")
    assert found.permutations == planted.inverse()
