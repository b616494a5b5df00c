"""Attention and feed-forward variants as users write them, against the log-orders that were counted by hand."""

from __future__ import annotations

import pytest

from graphmerge.certify import count
from tests.modules import VARIANTS, variant


@pytest.mark.parametrize("name", VARIANTS)
def test_variant(name: str) -> None:
    model, ids, order = variant(name)
    found = count(model, ids[:, :2])
    assert found.log_order == pytest.approx(order, abs=1e-9)
    assert found.slices == ()
