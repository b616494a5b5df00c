"""Systems of equations written by hand: groups, sizes, what is over what, and where each group acts."""

from __future__ import annotations

import pytest

from tests.algebra import cases_parts  # noqa: F401  (adds to the cases)
from tests.algebra.cases import CASES
from tests.algebra.solved import groups_text, symmetry_of, system_of, tensors_text


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    wanted = CASES[name]
    system = system_of(wanted.parameters, wanted.equations, wanted.activations, wanted.constants, wanted.sizes)
    found = symmetry_of(system)
    assert groups_text(found) == wanted.groups
    assert tensors_text(found) == wanted.tensors
