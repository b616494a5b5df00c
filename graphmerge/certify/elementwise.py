"""Elementwise ops: one node an entry. Listed, never guessed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

import torch

from graphmerge.certify.nodes import Nodes
from graphmerge.certify.scalars import Scalars, ids_of, like, nodes_of, tensor_of, unrolls

# Arguments may change places.
COMMUTATIVE: Final = (
    "add", "bitwise_and", "bitwise_or", "bitwise_xor", "eq", "fmax", "fmin", "hypot", "logaddexp", "logical_and",
    "logical_or", "logical_xor", "maximum", "minimum", "mul", "ne",
)  # fmt: skip
OTHERS: Final = (
    "_conj", "_prelu_kernel", "abs", "acos", "acosh", "addcdiv", "addcmul", "angle", "asin", "asinh", "atan", "atan2",
    "atanh", "bitwise_not", "ceil", "celu", "clamp", "clamp_max", "clamp_min", "complex", "copysign", "cos", "cosh",
    "div", "elu", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "floor", "floor_divide", "fmod", "frac", "ge",
    "gelu", "gt", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "heaviside", "isfinite", "isinf", "isnan", "le",
    "leaky_relu", "lerp", "lgamma", "log", "log10", "log1p", "log2", "log_sigmoid", "logical_not", "logit", "lt",
    "mish", "nan_to_num", "neg", "polar", "pow", "reciprocal", "relu", "remainder", "round", "rsqrt", "sgn", "sigmoid",
    "sign", "silu", "sin", "sinc", "sinh", "softplus", "softshrink", "sqrt", "square", "sub", "tan", "tanh",
    "threshold", "trunc", "xlogy",
)  # fmt: skip
ENTRIES: Final = (torch.Tensor, bool, int, float, complex)
Row = tuple[int, ...]


@unrolls([*COMMUTATIVE, *OTHERS])
def elementwise(func: Any, *args: Any, **kwargs: Any) -> Scalars:
    """A node for each entry of the broadcast arguments; of constants alone, its value."""
    nodes, result = nodes_of(args, kwargs), like(func, *args, **kwargs)
    if kwargs.get("alpha") == 1:
        del kwargs["alpha"]
    given = [*args, *kwargs.values()]
    settings = [None if isinstance(a, ENTRIES) else str(a) for a in given]
    name = func._schema.name.removeprefix("aten::")
    op = (name, tuple(kwargs), tuple(settings)) if kwargs or any(settings) else name
    ordered = name not in COMMUTATIVE or bool(kwargs)
    rows = _rows(nodes, [a for a in given if isinstance(a, ENTRIES)], result.shape)
    values = _fold(nodes, func, args, kwargs, {row for row in rows if nodes.values.keys() >= set(row)})
    ids = [values[row] if row in values else _apply(nodes, op, row, ordered) for row in rows]
    return tensor_of(nodes, ids, result)


def _apply(nodes: Nodes, op: Hashable, row: Row, ordered: bool) -> int:
    """One node; whether a label is a certain unit, the label knows already, and what is multiplied by 0 is 0."""
    if op == "mul":
        return nodes.times(*row)
    if op == "eq":
        for label, unit in (row, row[::-1]):
            if label in nodes.choices and unit in nodes.values:
                number, units = nodes.values[unit], nodes.choices[label].units
                return units[int(number.real)] if number in range(len(units)) else nodes.constant(False)
    return nodes.apply(op, row, ordered)


def _rows(nodes: Nodes, arguments: Iterable[Any], shape: torch.Size) -> list[Row]:
    """For each entry of the result the nodes that it is computed from."""
    return list(zip(*[ids_of(nodes, a).expand(shape).flatten().tolist() for a in arguments]))


def _fold(nodes: Nodes, func: Any, args: Any, kwargs: Any, rows: set[Row]) -> dict[Row, int]:
    """The nodes of operations on constants: the op itself, on the values of all ``rows`` at once."""
    if not rows:
        return {}
    columns = iter(zip(*rows))

    def values(argument: Any) -> Any:
        column = [nodes.values[c] for c in next(columns)] if isinstance(argument, ENTRIES) else ()
        return torch.tensor(column, dtype=argument.dtype) if isinstance(argument, torch.Tensor) else argument

    folded = func(*[values(a) for a in args], **{k: values(v) for k, v in kwargs.items()})
    return dict(zip(rows, nodes.constants(folded).tolist()))


@unrolls(["where"])
def where(func: Any, condition: Any, yes: Any, no: Any) -> Scalars:
    """A constant condition chooses between nodes; any other is an operation of three."""
    nodes, result = nodes_of(condition, yes, no), like(func, condition, yes, no)
    ids = []
    for c, y, n in _rows(nodes, (condition, yes, no), result.shape):
        ids.append((y if nodes.values[c] else n) if c in nodes.values else nodes.apply("where", (c, y, n)))
    return tensor_of(nodes, ids, result)


@unrolls(["_to_copy"])
def cast(func: Any, source: Scalars, **kwargs: Any) -> Scalars:
    """A change of precision is none; to whole numbers, truth values or real parts, it is an operation."""
    nodes, result = source.nodes, like(func, source, **kwargs)
    ids = source.entries().flatten().tolist()
    lossy = (source.is_floating_point() and not result.is_floating_point()) or source.is_complex()
    if lossy and source.dtype != result.dtype:
        values = _fold(nodes, func, (source,), kwargs, {(n,) for n in ids if n in nodes.values})
        ids = [values[(n,)] if (n,) in values else nodes.apply(("to", str(result.dtype)), (n,)) for n in ids]
    return tensor_of(nodes, ids, result)


@unrolls(["view_as_complex"])
def pairs(func: Any, source: Scalars) -> Scalars:
    """``... 2 -> ...``: real and imaginary parts side by side make one complex entry."""
    nodes = source.nodes
    ids = [nodes.apply("complex", row) for row in source.entries().reshape(-1, 2).tolist()]
    return tensor_of(nodes, ids, like(func, source))


@unrolls(["view_as_real"])
def parts(func: Any, source: Scalars) -> Scalars:
    """``... -> ... 2``"""
    nodes = source.nodes
    ids = [nodes.apply(part, (n,)) for n in source.entries().flatten().tolist() for part in ("real", "imag")]
    return tensor_of(nodes, ids, like(func, source))
