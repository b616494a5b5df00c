"""Random programs, traced and solved: sound always, complete where brute force can tell."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from graphmerge.verify import verify
from tests.algebra import random_ops as ops
from tests.algebra.checks import derive, drawn_input, forgotten, unsound
from tests.algebra.random_programs import Drawn

# Ops whose freedom is all of whole axes: no cuts, no constants, no sums that could be taken in another order.
PLAIN = (
    ops.linear,
    ops.einsum,
    ops.split_axis,
    ops.merge_axes,
    ops.permute,
    ops.pointwise,
)
TRIED = 3000  # permutations of axes for one program


def program(seed: int, fewest: int, most: int) -> Drawn:
    rng = random.Random(seed)
    return Drawn(rng, rng.randint(fewest, most)).eval()


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_sound(start: int) -> None:
    for seed in range(start, start + 20):
        drawn = program(seed, 2, 14)
        assert (wrong := unsound(drawn, derive(drawn))) is None, wrong


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_sound_and_shrinking(rng: random.Random, steps: int) -> None:
    drawn = Drawn(rng, steps).eval()
    note(str(drawn))
    assert unsound(drawn, derive(drawn)) is None


@pytest.mark.parametrize("seed", range(8))
def test_verify_agrees(seed: int) -> None:
    drawn = program(seed, 3, 8)
    assert verify(drawn, derive(drawn), (drawn_input(0),)).ok


@pytest.mark.parametrize("start", range(0, 80, 20))
def test_complete(start: int) -> None:
    for seed in range(start, start + 20):
        drawn = Drawn(random.Random(seed), 1 + seed % 5, PLAIN).eval()
        assert (missing := forgotten(drawn, derive(drawn), TRIED)) is None, missing


@pytest.mark.slow
@pytest.mark.parametrize("start", range(10_000, 16_000, 500))
def test_sound_for_long(start: int) -> None:
    for seed in range(start, start + 500):
        drawn = program(seed, 2, 20)
        assert (wrong := unsound(drawn, derive(drawn))) is None, wrong
