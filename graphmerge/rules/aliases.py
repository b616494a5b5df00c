"""Ops that are others under a second name."""

from __future__ import annotations

from typing import Final

ALIASES: Final = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "clip": "clamp",
    "divide": "div",
    "fix": "trunc",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "special_erf": "erf",
    "special_exp2": "exp2",
    "special_expit": "sigmoid",
    "special_expm1": "expm1",
    "special_log_softmax": "log_softmax",
    "special_logit": "logit",
    "special_round": "round",
    "special_softmax": "softmax",
    "subtract": "sub",
}


def plain_name(op: str) -> str:
    """``aten.mul_.Tensor`` and ``aten.multiply.Tensor`` are ``mul``; other libraries mean what they like by a name."""
    namespace, _, rest = op.partition(".")
    name = rest.partition(".")[0]
    name = name.removesuffix("_") if not name.startswith("__") else name
    return ALIASES.get(name, name) if namespace == "aten" else name
