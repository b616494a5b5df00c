"""Terms: worth what the objective is worth, however they are settled and taken apart."""

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmerge.match.terms import Similarity, Slot, WeightTerm, arrays_of
from graphmerge.match.weights import weight_terms
from tests.symmetry.drawn import state_of, symmetries

CPU = torch.device("cpu")
HEADS_AND_DIM = (Slot("h"), Slot("d", (0,)), Slot("r"))


def term(seed: int = 0) -> WeightTerm:
    """Two heads of three units, and four units of r."""
    rng = torch.Generator().manual_seed(seed)
    return WeightTerm(torch.rand(2, 3, 4, 5, generator=rng), torch.rand(2, 3, 4, 5, generator=rng), HEADS_AND_DIM)


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"h": rng.permutation(2), "d": rng.permuted([[0, 1, 2]] * 2, axis=1), "r": rng.permutation(4)}


@settings(max_examples=40, deadline=None)
@given(symmetries(), st.integers(0, 9))
def test_the_terms_are_worth_the_inner_product_of_a_and_permuted_b(symmetry, seed):
    a, b = state_of(symmetry, seed), state_of(symmetry, seed + 100)
    terms = weight_terms(a, b, symmetry, CPU)

    def inner_product(permutations) -> float:
        return sum(float((a[key] * moved).sum()) for key, moved in permutations.apply(b).items())

    still, moved = symmetry.identity(), symmetry.random(seed)
    gain = sum(t.value(arrays_of(moved)) - t.value(arrays_of(still)) for t in terms)
    assert abs(gain - (inner_product(moved) - inner_product(still))) < 1e-4


def test_a_similarity_holds_every_pair_of_joint_units():
    weights, standing = term(), arrays()
    whole = weights.similarity()
    assert whole.t.shape == (2, 3, 4, 2, 3, 4)
    by_hand = sum(
        float(weights.a[h, d, r] @ weights.b[standing["h"][h], standing["d"][h, d], standing["r"][r]])
        for h, d, r in itertools.product(range(2), range(3), range(4))
    )
    assert np.isclose(weights.value(standing), by_hand)
    assert np.isclose(whole.value(standing), by_hand)


def test_settling_leaves_the_value_as_it_is():
    standing = arrays(1)
    for whole in (term(), term().similarity()):
        part = whole.settle([0, 1], {"r": standing["r"]})
        assert part.slots == HEADS_AND_DIM[:2]
        assert np.isclose(part.value(standing), whole.value(standing))
        part = whole.settle([2], standing)
        assert part.slots == (Slot("r"),)
        assert np.isclose(part.value(standing), whole.value(standing))


def test_the_value_is_the_sum_over_the_units_of_a_base():
    standing = arrays(2)
    for whole in (term(), term().similarity()):
        parts = [whole.at(0, h, int(standing["h"][h])) for h in range(2)]
        values = [part.value({"d": standing["d"][h], "r": standing["r"]}) for h, part in enumerate(parts)]
        assert parts[0].slots == (Slot("d"), Slot("r"))
        assert np.isclose(sum(values), whole.value(standing))


def test_a_settled_similarity_is_that_of_settled_weights():
    standing = arrays(3)
    settled = term().settle([0, 1], standing).similarity()
    assert np.allclose(term().similarity().settle([0, 1], standing).t, settled.t, atol=1e-5)


def test_where_others_are_not_solved_their_order_does_not_count():
    weights = term()
    shuffled = WeightTerm(weights.a, weights.a[:, :, [2, 0, 3, 1]].clone(), weights.slots)
    settled = shuffled.settle([0, 1], {})
    assert torch.equal(settled.a, settled.b)


def test_no_permutation_is_worth_more_than_the_bound():
    for whole in (term(), term().similarity()):
        assert all(whole.value(arrays(seed)) <= whole.bound + 1e-6 for seed in range(20))
    square = Similarity(np.array([[3.0, 5.0], [2.0, 1.0]]), (Slot("g"),))
    assert square.bound == 7
