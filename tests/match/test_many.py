"""Several models in one order: planted elements, cycles, an objective that never falls, and what merges make of it."""

import itertools
import json

import numpy as np
import pytest
import torch

import graphmerge as gm
from graphmerge.errors import InputError
from graphmerge.match import Matches, match, match_many
from graphmerge.match.options import MatchOptions
from graphmerge.match.pairs import ActivationPairs, WeightPairs
from graphmerge.match.reading import Reader
from graphmerge.match.terms import arrays_of
from graphmerge.match.weights import weight_terms
from graphmerge.merge.inputs import read_inputs
from tests.match.specs import MODELS, batches, gpt2

CPU = torch.device("cpu")
TO = ["first", "universe", 1]


def noisy(model, scale, seed):
    """The model with noise on its weights; with much of it, another model."""
    rng = torch.Generator().manual_seed(seed)
    found = {key: t + scale * torch.randn(t.shape, generator=rng) for key, t in model.state_dict().items()}
    copy = type(model)(model.config).eval()
    copy.load_state_dict(found)
    return copy


def family(scale, build=gpt2):
    """Three models that are one, with noise, in three orders."""
    model, symmetry = build()
    return [symmetry.random(n).apply(noisy(model, scale, n)) for n in range(3)], symmetry


def pair_objective(a, b, symmetry, permutations):
    """Of two models whose second is moved by ``permutations``."""
    terms = weight_terms(a.state_dict(), b.state_dict(), symmetry, CPU)
    return sum(term.value(arrays_of(permutations)) for term in terms)


def total(models, symmetry, found):
    """The sum over all pairs, each by itself."""
    pairs = itertools.combinations(range(len(models)), 2)
    return sum(pair_objective(models[i], models[j], symmetry, found.between(j, i)) for i, j in pairs)


@pytest.mark.parametrize("to", TO)
@pytest.mark.parametrize("method", ["weights", "activations"])
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_planted_elements_are_found(build, method, to):
    model, symmetry = build()
    p, q = symmetry.random(1), symmetry.random(2)
    models = [model, p.apply(model), q.apply(model)]
    found = match_many(models, symmetry, method, batches(2), to=to, groups="*", options={"refine": 0})
    assert found.permutations == (p.inverse(), q.inverse())
    assert found.between(1, 2) == q @ p.inverse()
    merged = gm.merge(models, found.permutations).state_dict()
    assert all(torch.allclose(merged[key], t, atol=1e-6) for key, t in model.state_dict().items())


@pytest.mark.parametrize("method", ["weights", "activations"])
def test_around_a_cycle_is_the_identity(method):
    models, symmetry = family(1.0)
    found = match_many(models, symmetry, method, batches(2), to="universe", groups="*")
    assert not found.between(0, 1).is_identity
    assert (found.between(2, 0) @ found.between(1, 2) @ found.between(0, 1)).is_identity
    assert found.between(1, 1).is_identity
    assert found.between(2, 1) == found.between(1, 2).inverse()
    apart = [match(models[j], models[i], symmetry, method, batches(2), groups="*") for i, j in ((0, 1), (1, 2), (2, 0))]
    once, twice, back = (m.permutations for m in apart)
    assert not (back @ twice @ once).is_identity  # matches of pairs, each by itself, are not consistent


@pytest.mark.parametrize("seed", range(3))
def test_the_objective_is_the_sum_over_pairs_and_never_falls(seed):
    models, symmetry = family(1.0)
    universe = match_many(models, symmetry, to="universe", seed=seed)
    first = match_many(models, symmetry, seed=seed)
    assert list(universe.history) == sorted(universe.history)
    assert universe.history[0] == pytest.approx(total(models, symmetry, first), rel=1e-6)
    assert universe.history[-1] == pytest.approx(total(models, symmetry, universe), rel=1e-6)
    assert universe.history[-1] > 1.01 * universe.history[0]


def test_the_objective_of_activations():
    """Against the similarities of the models as they are moved, read anew."""
    models, symmetry = family(1.0)
    found = match_many(models, symmetry, "activations", batches(2), to="universe", groups="*")
    assert list(found.history) == sorted(found.history)
    assert found.history[-1] > 1.01 * found.history[0]
    moved = [models[0], *(p.apply(m) for p, m in zip(found.permutations, models[1:]))]
    reader = Reader(symmetry, tuple(symmetry.by_name), "correlation", MatchOptions(), batches(2), CPU)
    stand = arrays_of(symmetry.identity())
    worth = 0.0
    for a, b in itertools.combinations(read_inputs(moved), 2):
        worth += sum(term.value(stand) for stage in reader.stages(a, b)[0] for term in stage.terms)
    assert found.history[-1] == pytest.approx(worth, rel=1e-4)


@pytest.mark.parametrize("method", ["weights", "activations"])
@pytest.mark.parametrize("model", [0, 1, 2])
def test_terms_of_one_model_and_the_others(method, model):
    """They are worth the sum of the pairs, whatever the orders."""
    models, symmetry = family(1.0)
    inputs, placed = read_inputs(models), [symmetry.random(10 + n) for n in range(3)]
    if method == "weights":
        pairs = WeightPairs([i.state for i in inputs], symmetry, CPU)
    else:
        reader = Reader(symmetry, tuple(symmetry.by_name), "covariance", MatchOptions(), batches(2), CPU)
        found = {(i, j): reader.stages(inputs[i], inputs[j])[0] for i, j in itertools.combinations(range(3), 2)}
        pairs = ActivationPairs(found)
    others = {n: placed[n] for n in range(3) if n != model}
    arrays = arrays_of(placed[model])
    together = sum(term.value(arrays) for term in pairs.terms(0, model, others))
    apart = [sum(t.value(arrays) for t in pairs.terms(0, model, {n: p})) for n, p in others.items()]
    assert together == pytest.approx(sum(apart), rel=1e-5)
    for (n, p), worth in zip(others.items(), apart):
        between = arrays_of(p.inverse() @ placed[model])
        alone = sum(t.value(between) for t in pairs.terms(0, model, {n: symmetry.identity()}))
        assert worth == pytest.approx(alone, rel=1e-5)


def test_two_models_are_a_match():
    models, symmetry = family(1.0)
    found = match_many(models[:2], symmetry, to="universe")
    alone = match(models[0], models[1], symmetry)
    assert found.permutations == (alone.permutations,)
    assert match_many(models[:2], symmetry).history == alone.history


def test_only_the_groups_asked_for_move():
    models, symmetry = family(1.0)
    found = match_many(models, symmetry, to="universe", groups="ffn")
    assert found.groups == ("layers.0.ffn", "layers.1.ffn")
    for group, array in found.permutations[1].arrays.items():
        still = np.array_equal(array, symmetry.identity().arrays[group])
        assert still == (group not in found.groups)


def test_groups_are_chosen_by_the_mean_of_all():
    models, symmetry = family(0.0)
    found = match_many(models, symmetry, "weights", batches(), to="universe")
    assert found.groups == tuple(symmetry.by_name)
    assert found.notes[-1].startswith("groups chosen by the loss of the mean of all models, each matched to the first")
    states = [model.state_dict() for model in models]
    assert "for want of a loss" in match_many(states, symmetry, data=batches(), to="universe").notes[-1]


def test_units_that_no_data_tells_apart_are_decided_by_weights():
    model, symmetry = gpt2()
    dead = model.state_dict()
    for layer in range(2):
        dead[f"transformer.h.{layer}.mlp.c_fc.bias"][:3] = -100.0  # gelu is 0 there
    model.load_state_dict(dead)
    models = [model, *(symmetry.random(n).apply(model) for n in (1, 2))]
    found = match_many(models, symmetry, "activations", batches(2), to="universe", groups="*")
    assert found.permutations == (symmetry.random(1).inverse(), symmetry.random(2).inverse())
    assert "so weights decide: layers.0.ffn, layers.1.ffn" in found.notes[-1]


def test_heads_told_apart_by_their_values():
    model, symmetry = gpt2()
    models = [model, *(symmetry.random(n).apply(model) for n in (1, 2))]
    options = {"head_features": "value"}
    found = match_many(models, symmetry, "activations", batches(2), to="universe", groups="*", options=options)
    assert found.permutations == (symmetry.random(1).inverse(), symmetry.random(2).inverse())


def test_identity_and_files(tmp_path):
    models, symmetry = family(1.0)
    found = match_many(models, symmetry, "identity", to="universe")
    assert isinstance(found, Matches)
    assert all(p.is_identity for p in found.permutations)
    assert found.preserving
    data = json.loads(match_many(models, symmetry, groups="ffn", to=2).to_json(tmp_path / "many.json"))
    assert (data["format"], data["models"], data["to"]) == ("graphmerge.matches.1", 3, 2)
    assert json.loads((tmp_path / "many.json").read_text()) == data


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"to": "last"}, "to is 'last'; it is first, universe, or the number of a model from 0 to 2"),
        ({"to": 3}, "to is 3; it is"),
        ({"to": -1}, "to is -1; it is"),
        ({"to": True}, "to is True; it is"),
        ({"to": "universe", "method": "rebasin"}, "method 'rebasin' is unknown"),
        ({"to": "universe", "method": "activations"}, "runs both models"),
        ({"to": "universe", "data": batches(1), "options": {"refine": 3}}, "refine goes by the loss halfway"),
        ({"to": "universe", "options": {"share": 0.5}}, "there is none"),
    ],
)
def test_what_is_wrong_is_said(keys, message):
    models, symmetry = family(0.1)
    with pytest.raises(InputError, match=message):
        match_many(models, symmetry, **keys)


def test_one_model_is_not_enough_and_there_is_no_fourth():
    models, symmetry = family(0.1)
    with pytest.raises(InputError, match="two models or more; got 1"):
        match_many(models[:1], symmetry)
    with pytest.raises(InputError, match="no model 3; they are counted from 0 to 2"):
        match_many(models, symmetry, groups="ffn").between(0, 3)
