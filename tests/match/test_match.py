"""The public entry: conventions, choices, files and errors."""

import json

import numpy as np
import pytest
import torch

from graphmerge.errors import ArchitectureMismatch, InputError
from graphmerge.evaluate import barrier
from graphmerge.match import match
from tests.match.specs import batches, bert, gpt2, llama


def test_identity_moves_nothing():
    model, symmetry = gpt2()
    found = match(model, symmetry.random(0).apply(model), symmetry, method="identity")
    assert found.permutations.is_identity
    assert (found.method, found.groups, found.history) == ("identity", (), ())


@pytest.mark.parametrize("method", ["weights", "activations"])
def test_by_default_all_groups_are_matched_if_that_is_best(method):
    model, symmetry = gpt2()
    p = symmetry.random(0)
    other = p.apply(model)
    found = match(model, other, symmetry, method, batches())
    assert found.permutations == p.inverse()
    assert found.groups == tuple(symmetry.by_name)
    assert found.notes[-1].startswith(
        "groups chosen by the barrier halfway between the models on 2 calibration batches: "
    )
    assert barrier(model, other, batches(), found.permutations, points=3).barrier < 1e-4


def test_groups_whose_move_hurts_stay():
    """A loss that is 0 only where the embedding is that of A, of B, or the mean of the two as they are."""
    (model, symmetry), other = gpt2(), gpt2()[0]
    key = "transformer.wte.weight"
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    a, b = model.state_dict()[key].clone(), other.state_dict()[key].clone()

    def loss(module, batch):
        embedding = module.state_dict()[key]
        return min(float((embedding - good).abs().mean()) for good in (a, b, (a + b) / 2))

    found = match(model, other, symmetry, "weights", batches(), loss=loss)
    assert "residual" not in found.groups
    assert np.array_equal(found.permutations.arrays["residual"], np.arange(symmetry["residual"].size))


def test_without_data_or_a_loss_all_groups_take_part():
    model, symmetry = bert()
    other = symmetry.random(0).apply(model)
    assert match(model, other, symmetry).groups == tuple(symmetry.by_name)
    unlabelled = [{"input_ids": b["input_ids"]} for b in batches()]
    found = match(model, other, symmetry, "activations", unlabelled)
    assert found.groups == tuple(symmetry.by_name)
    assert found.notes == (
        "all groups take part, for want of a loss to choose them by (BertForMaskedLM reports no loss for these batches "
        "(its output has no .loss); put labels into the batches, or give loss=, a function of (model, batch) "
        "(--loss file.py:function))",
    )


def test_a_loss_that_fails_is_not_passed_over():
    model, symmetry = llama()
    with pytest.raises(InputError, match="the loss is nan"):
        match(model, model, symmetry, "weights", batches(), loss=lambda module, batch: float("nan"))


def test_the_history_is_the_objective_sweep_by_sweep():
    model, symmetry = gpt2()
    rng = torch.Generator().manual_seed(1)
    a = model.state_dict()
    b = {key: torch.randn(t.shape, generator=rng) for key, t in a.items()}
    b["lm_head.weight"] = b["transformer.wte.weight"]
    found = match(a, b, symmetry)
    assert len(found.history) > 1
    assert list(found.history) == sorted(found.history)
    moved = found.permutations.apply(b)
    worth = sum(float((a[k] * moved[k]).sum()) for k in a if k != "lm_head.weight")
    assert np.isclose(found.history[-1], worth)
    assert worth > sum(float((a[k] * b[k]).sum()) for k in a if k != "lm_head.weight")
    assert match(a, b, symmetry, seed=0).permutations == found.permutations
    assert len(match(a, b, symmetry, sweeps=1).history) == 2
    # what does not take part counts too
    some = match(a, b, symmetry, groups="ffn")
    moved = some.permutations.apply(b)
    assert np.isclose(some.history[-1], sum(float((a[k] * moved[k]).sum()) for k in a if k != "lm_head.weight"))


def test_nothing_is_changed_and_the_training_mode_stays():
    model, symmetry = gpt2()
    other = symmetry.random(0).apply(model).train()
    before = [t.clone() for m in (model, other) for t in m.state_dict().values()]
    match(model, other, symmetry, "activations", batches())
    assert other.training
    assert not model.training
    after = [t for m in (model, other) for t in m.state_dict().values()]
    assert all(torch.equal(x, y) for x, y in zip(before, after))


def test_progress_ends_where_it_should():
    model, symmetry = gpt2()
    seen = []
    match(model, model, symmetry, "activations", batches(3), groups="ffn", progress=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3), (1, 1), (1, 1)]


def test_json(tmp_path):
    model, symmetry = gpt2()
    found = match(model, model, symmetry, groups="ffn")
    text = found.to_json(tmp_path / "match.json")
    assert (tmp_path / "match.json").read_text() == text
    data = json.loads(text)
    assert data["format"] == "graphmerge.match.1"
    assert (data["method"], data["groups"]) == ("weights", ["layers.0.ffn", "layers.1.ffn"])
    assert data["history"] == list(found.history)


def test_errors():
    model, symmetry = gpt2()
    state = model.state_dict()
    with pytest.raises(InputError, match="method 'weight' is unknown; it is weights, activations or identity"):
        match(model, model, symmetry, method="weight")  # type: ignore[arg-type]
    for a, data in ((state, batches()), (model, None)):
        with pytest.raises(InputError, match=r"give modules \(or directories\) and data"):
            match(a, state if a is state else model, symmetry, "activations", data)
    with pytest.raises(InputError, match="no group is called 'fnn'"):
        match(model, model, symmetry, groups="fnn")
    with pytest.raises(ArchitectureMismatch):
        match(model, bert()[0], symmetry)
    with pytest.raises(ArchitectureMismatch):
        match(bert()[0], bert()[0], symmetry)
