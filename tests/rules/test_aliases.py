"""Second names of ops, and names that are none."""

from __future__ import annotations

import pytest

from graphmerge.rules import derive, op_key
from graphmerge.rules.aliases import plain_name
from graphmerge.trace.program import Node, Ref


@pytest.mark.parametrize(
    ("op", "name"),
    [("aten.multiply.Tensor", "mul"), ("aten.mul_.Tensor", "mul"), ("mylib.multiply.default", "multiply")],
)
def test_plain_names(op: str, name: str) -> None:
    assert plain_name(op) == name
    assert op_key(op) == f"{op.partition('.')[0]}.{name}"


def test_an_op_that_is_of_no_library_is_unknown() -> None:
    node = Node("out", "wrap_with_autocast", (Ref("x", (3, 4)),), {}, (Ref("out", (3, 4)),))
    assert derive(node, {}).unknown == "unknown op wrap_with_autocast"
