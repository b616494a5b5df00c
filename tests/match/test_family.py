"""Families: who belongs together, and the exact optimum against trying everything."""

import itertools

import numpy as np
import torch

from graphmerge.match.ascent import solve_within
from graphmerge.match.family import Family, assign, cluster, families, solve_family
from graphmerge.match.terms import Similarity, Slot, WeightTerm


def random_similarity(slots: tuple[Slot, ...], sizes: tuple[int, ...], seed: int) -> Similarity:
    return Similarity(np.random.default_rng(seed).standard_normal(sizes * 2), slots)


def best_by_trying(terms: list[Similarity], heads: int, dims: int) -> float:
    """The most that any permutation of heads h, with d over h, is worth."""
    inner = list(itertools.permutations(range(dims)))
    best = -np.inf
    for h in itertools.permutations(range(heads)):
        for d in itertools.product(inner, repeat=heads):
            best = max(best, sum(t.value({"h": np.array(h), "d": np.array(d)}) for t in terms))
    return best


def test_families_of_moving_and_of_standing_bases():
    slots = (Slot("h"), Slot("d", (0,)), Slot("r"), Slot("pin"), Slot("f", (3,)))
    terms = [random_similarity(slots, (1, 1, 1, 1, 1), 0)]
    assert families(terms, ["h", "d", "r", "f"]) == [
        Family("h", ("h", "d")),
        Family("r", ("r",)),
        Family("pin", ("f",)),
    ]
    assert families(terms, ["d"]) == [Family("h", ("d",))]
    assert families(terms, ["absent"]) == []


def test_a_group_over_two_bases_belongs_to_the_one_that_moves():
    slots = (Slot("pin"), Slot("h"), Slot("d", (0, 1)))
    terms = [random_similarity(slots, (1, 1, 1), 0)]
    assert families(terms, ["h", "d"]) == [Family("h", ("h", "d"))]
    assert cluster(slots, 1) == [0, 1, 2]


def test_heads_and_what_is_inside_are_solved_exactly():
    for seed in range(5):
        terms = [
            random_similarity((Slot("h"), Slot("d", (0,))), (3, 3), seed),
            random_similarity((Slot("h"),), (3,), seed + 10),
            random_similarity((Slot("d", (1,)), Slot("h")), (3, 3), seed + 20),
        ]
        found = solve_family(Family("h", ("h", "d")), terms, {}, solve_within)
        assert np.isclose(sum(t.value(found) for t in terms), best_by_trying(terms, 3, 3))


def test_what_is_inside_a_standing_base_is_solved_exactly():
    term = random_similarity((Slot("h"), Slot("d", (0,))), (2, 4), 0)
    found = solve_family(Family("h", ("d",)), [term], {"h": np.array([1, 0])}, solve_within)
    for h in range(2):
        assert found["d"][h].tolist() == assign(term.t[h, :, 1 - h]).tolist()


def test_a_standing_base_of_weights_is_never_multiplied_out():
    rng = torch.Generator().manual_seed(0)
    experts = torch.rand(3, 4, 6, generator=rng)
    order = torch.stack([torch.randperm(4, generator=rng) for _ in range(3)])
    moved = torch.stack([experts[e, order[e]] for e in range(3)])
    term = WeightTerm(experts, moved, (Slot("experts"), Slot("f", (0,))))
    found = solve_family(Family("experts", ("f",)), [term], {"experts": np.arange(3)}, solve_within)
    assert all((order[e][found["f"][e]] == torch.arange(4)).all() for e in range(3))


def test_two_levels_deep():
    rng = np.random.default_rng(0)
    slots = (Slot("e"), Slot("h", (0,)), Slot("d", (0, 1)))
    a = torch.from_numpy(rng.standard_normal((2, 3, 4, 9)))
    e = rng.permutation(2)
    h = rng.permuted([range(3)] * 2, axis=1)
    d = rng.permuted([[range(4)] * 3] * 2, axis=2)
    # b is what (e, h, d) bring onto a: a[i, j, k] = b[e[i], h[i, j], d[i, j, k]]
    b = torch.empty_like(a)
    for i, j, k in itertools.product(range(2), range(3), range(4)):
        b[e[i], h[i, j], d[i, j, k]] = a[i, j, k]
    found = solve_family(Family("e", ("e", "h", "d")), [WeightTerm(a, b, slots)], {}, solve_within)
    assert found["e"].tolist() == e.tolist()
    assert found["h"].tolist() == h.tolist()
    assert found["d"].tolist() == d.tolist()


def test_a_partner_that_is_not_solved_is_solved_for_every_pair():
    """(heads v) where both are bases: only together do they say which is which."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((4, 5, 30)))
    heads, v = rng.permutation(4), rng.permutation(5)
    y = torch.empty_like(x)
    y[np.ix_(heads, v)] = x
    term = WeightTerm(x, y, (Slot("heads"), Slot("v"))).similarity()
    assert solve_family(Family("heads", ("heads",)), [term], {}, solve_within)["heads"].tolist() == heads.tolist()
