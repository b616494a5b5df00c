"""Rules: one op, its equations. Importing this package registers them all."""

from graphmerge.rules import contraction, elementwise, indexing, pooling, recurrent, reduction, scatter, view
from graphmerge.rules.probe import infer
from graphmerge.rules.registry import Call, Derived, NotCovered, derive, known_ops, op_key, pin_tensor, rule

__all__ = [
    "Call", "Derived", "NotCovered", "contraction", "derive", "elementwise", "indexing", "infer", "known_ops",
    "op_key", "pin_tensor", "pooling", "recurrent", "reduction", "rule", "scatter", "view",
]  # fmt: skip
