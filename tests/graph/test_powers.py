"""The powers of free scales and signs: all solutions of small random systems, against ranks and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from graphmerge.graph.powers import Row, Substitution, powers

UNKNOWNS = 6


def systems(seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(rng.integers(0, 6)):
        terms = rng.choice(UNKNOWNS, size=rng.integers(1, 4), replace=False)
        rows.append({int(o): int(rng.choice([-2, -1, 1, 2])) for o in terms})
    return rows


def matrix(rows: list[Row]) -> np.ndarray:
    return np.array([[row.get(o, 0) for o in range(UNKNOWNS)] for row in rows]).reshape(len(rows), UNKNOWNS)


@pytest.mark.parametrize("seed", range(60))
def test_scales_solve_the_system_and_none_is_missed(seed: int) -> None:
    rows = systems(seed)
    found = powers(rows, range(UNKNOWNS))
    basis = np.array([found[o] for o in range(UNKNOWNS)])  # (unknowns, free)
    assert not (matrix(rows) @ basis).any()
    free = UNKNOWNS - (np.linalg.matrix_rank(matrix(rows)) if rows else 0)
    assert basis.shape == (UNKNOWNS, free)
    assert free == 0 or np.linalg.matrix_rank(basis) == free


@pytest.mark.parametrize("seed", range(60))
def test_signs_solve_the_system_and_none_is_missed(seed: int) -> None:
    rows = systems(seed)
    found = powers(rows, range(UNKNOWNS), modulus=2)
    basis = np.array([found[o] for o in range(UNKNOWNS)])
    spanned = {tuple(basis @ pick % 2) for pick in itertools.product((0, 1), repeat=basis.shape[1])}
    every = itertools.product((0, 1), repeat=UNKNOWNS)
    assert spanned == {x for x in every if not (matrix(rows) @ x % 2).any()}
    assert len(spanned) == 2 ** basis.shape[1]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_not_asked_for_adds_no_freedom(seed: int) -> None:
    rows, asked = systems(seed), [0, 2, 3]
    whole = np.array([powers(rows, range(UNKNOWNS))[o] for o in asked])
    some = np.array([powers(rows, asked)[o] for o in asked])
    rank = np.linalg.matrix_rank(whole) if whole.size else 0
    assert some.shape[1] == rank
    assert rank == 0 or np.linalg.matrix_rank(np.hstack([whole, some])) == rank


def test_the_first_is_positive_and_whole() -> None:
    assert powers([{0: 2, 1: -1}, {1: 1, 2: 1}], [0, 1, 2]) == {0: (1,), 1: (2,), 2: (-2,)}
    assert powers([{0: 1, 1: 1, 2: -1}], [0, 1, 2]) == {0: (1, 0), 1: (0, 1), 2: (1, 1)}


def test_a_substitution_remembers_signs() -> None:
    known = Substitution()
    assert known.tie(0, 1, -1)
    assert known.tie(2, 1)
    assert not known.tie(0, 2)  # tied already, the other way
    assert known.find(0)[0] == known.find(2)[0]
    assert known.find(0)[1] == -known.find(2)[1]
    known.vanish(1)
    assert known.find(0)[1] == known.find(2)[1] == 0
    known.tie(3, 0)
    assert known.find(3)[1] == 0
