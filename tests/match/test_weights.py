"""Matching by weights: planted elements come back exactly; every tensor counts once."""

import numpy as np
import pytest
import torch

from graphmerge.match import match
from graphmerge.match.weights import weight_terms
from graphmerge.symmetry import Block, Group, Move, Run, Symmetry
from tests.match.specs import MODELS, gpt2

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_element_is_recovered(name, seed):
    model, symmetry = MODELS[name]()
    p = symmetry.random(seed)
    found = match(model, p.apply(model), symmetry, method="weights")
    assert found.permutations == p.inverse()


@pytest.mark.parametrize("name", MODELS)
def test_noise_does_not_hide_it(name):
    model, symmetry = MODELS[name]()
    rng = torch.Generator().manual_seed(0)
    a = model.state_dict()
    noisy = {key: t + 0.03 * torch.randn(t.shape, generator=rng) for key, t in a.items()}
    p = symmetry.random(5)
    assert match(a, p.apply(noisy), symmetry).permutations == p.inverse()


def test_only_the_named_groups_move():
    model, symmetry = gpt2()
    p = symmetry.random(0, groups=("layers.0.ffn", "layers.1.ffn"))
    found = match(model, p.apply(model), symmetry, groups="ffn")
    assert found.groups == ("layers.0.ffn", "layers.1.ffn")
    assert found.permutations == p.inverse()
    other = match(model, symmetry.random(1).apply(model), symmetry, groups="layers.0.v").permutations
    assert all((a == np.arange(a.shape[-1])).all() for g, a in other.arrays.items() if g != "layers.0.v")


def test_a_tied_tensor_counts_once_however_it_is_stored():
    model, symmetry = gpt2()
    state = model.state_dict()
    copied = {key: t.clone() for key, t in state.items()}
    apart = copied | {"lm_head.weight": copied["lm_head.weight"] + 1}
    count = len(weight_terms(state, state, symmetry, CPU))
    assert len(weight_terms(copied, copied, symmetry, CPU)) == count
    assert len(weight_terms(apart, apart, symmetry, CPU)) == count + 1


def test_complex_weights_and_integers():
    block = Block((Run(0, (4,), (1,)),), (Move("g", (0,)),))
    symmetry = Symmetry((Group("g", 4),), (), {"c": (block,), "n": (block,)}, {"c": (4,), "n": (4,)})
    a = {"c": torch.tensor([1j, -1j, 1, -1]), "n": torch.tensor([4, 3, 2, 1])}
    p = symmetry.random(2)
    assert not p.is_identity
    assert match(a, p.apply(a), symmetry).permutations == p.inverse()
    (term,) = weight_terms(a, a, symmetry, CPU)
    assert term.a.shape == (4, 2)  # real and imaginary parts


def test_half_precision_and_another_dtype_on_the_other_side():
    model, symmetry = gpt2()
    a = model.state_dict()
    p = symmetry.random(2)
    b = {key: t.to(torch.bfloat16) for key, t in p.apply(a).items()}
    terms = weight_terms(a, b, symmetry, CPU)
    assert {t.a.dtype for t in terms} == {t.b.dtype for t in terms} == {torch.float32}
    assert match(a, b, symmetry).permutations == p.inverse()
