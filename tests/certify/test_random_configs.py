"""The derivation finds as many permutations as there are: random sizes, ten architectures."""

from __future__ import annotations

import pytest

import graphmerge as gm
from graphmerge.certify import count
from tests.certify.random_configs import KINDS, random_model


def _agree(kind: str, seed: int) -> None:
    model, inputs = random_model(kind, seed)
    derived = gm.trace(model, inputs).symmetry().log_order()
    assert derived == pytest.approx(count(model, inputs).log_order, abs=1e-6), model.config


@pytest.mark.parametrize("kind", KINDS)
def test_derived_is_counted(kind: str) -> None:
    _agree(kind, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 8))
@pytest.mark.parametrize("kind", KINDS)
def test_derived_is_counted_many(kind: str, seed: int) -> None:
    _agree(kind, seed)
