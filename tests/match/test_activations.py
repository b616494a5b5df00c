"""Matching by activations: planted elements come back exactly; padding counts for nothing."""

import numpy as np
import pytest
import torch

import graphmerge as gm
from graphmerge.errors import InputError
from graphmerge.match import match
from tests.match.specs import MODELS, batches, gpt2
from tests.modules import VARIANTS, variant

ALL = "residual,heads,ffn"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("similarity", ["correlation", "covariance", "inner_product"])
def test_a_planted_element_is_recovered(name, similarity):
    model, symmetry = MODELS[name]()
    p = symmetry.random(3)
    found = match(model, p.apply(model), symmetry, "activations", batches(), groups=ALL, similarity=similarity)
    assert found.permutations == p.inverse()
    assert len(found.history) == 1
    assert found.notes == ()


@pytest.mark.parametrize("name", VARIANTS)
def test_in_every_way_to_write_attention(name):
    model, example, _ = variant(name)
    symmetry = gm.trace(model, (example,)).symmetry()
    rng = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    data = [(torch.randint(0, 13, (8, 12), generator=rng),) for _ in range(6)]
    p = symmetry.random(0)
    found = match(model, p.apply(model), symmetry, "activations", data, groups=list(symmetry.by_name))
    assert found.permutations == p.inverse()


def test_padding_counts_for_nothing():
    (model, symmetry), other = gpt2(), gpt2()[0]
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    mask = torch.ones(8, 12, dtype=torch.long)
    mask[:, 7:] = 0
    ids = [b["input_ids"] for b in batches()]
    clean = [{"input_ids": i * mask, "attention_mask": mask} for i in ids]
    dirty = [{"input_ids": i, "attention_mask": mask} for i in ids]
    blind = [{"input_ids": i} for i in ids]
    worth = [match(model, other, symmetry, "activations", d, groups=ALL).history[0] for d in (clean, dirty, blind)]
    assert np.isclose(worth[0], worth[1], rtol=1e-5)
    assert not np.isclose(worth[1], worth[2], rtol=1e-3)


def test_an_unknown_similarity_is_refused():
    model, symmetry = gpt2()
    with pytest.raises(InputError, match="'cosine' is unknown; it is one of correlation, covariance, inner_product"):
        match(model, model, symmetry, "activations", batches(), groups="ffn", similarity="cosine")
