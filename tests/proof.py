"""What every model of a test folder must pass: derived, verified, counted, and the two log-orders equal."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import graphmerge as gm
from graphmerge.certify import count


def assert_sound(model: torch.nn.Module, inputs: Any, tested: bool = True) -> gm.Symmetry:
    """No op is unknown, no group changes an output, and every group is seen to matter."""
    graph = gm.trace(model.eval(), inputs)
    assert graph.unknown == ()
    symmetry = graph.symmetry()
    found = gm.verify(model, symmetry, inputs)
    assert found.max_error <= 1e-9, found.culprits
    if tested:
        assert found.untested == ()
    return symmetry


def assert_complete(model: torch.nn.Module, inputs: Any) -> float:
    """The derived log-order is the exact count's; it is returned."""
    derived = gm.trace(model.eval(), inputs).symmetry().log_order()
    assert derived == pytest.approx(count(model, inputs).log_order, abs=1e-9)
    return derived
