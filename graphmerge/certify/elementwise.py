"""Elementwise ops: one node an entry. Listed, never guessed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

import torch

from graphmerge.certify.nodes import Nodes
from graphmerge.certify.scalars import Scalars, decides, ids_of, like, nodes_of, tensor_of, unrolls

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


@unrolls([*COMMUTATIVE, *OTHERS])
def elementwise(func: Any, *args: Any, **kwargs: Any) -> Scalars:
    """A node for each entry of the broadcast arguments; of constants alone, its value.

    So is a truth value that inputs alone decide: what is counted is the function for inputs of which the same is true.
    """
    nodes, result = nodes_of(args, kwargs), like(func, *args, **kwargs)
    if kwargs.get("alpha") == 1:
        del kwargs["alpha"]
    given = [*args, *kwargs.values()]
    settings = [None if isinstance(a, ENTRIES) else str(a) for a in given]
    name = func._schema.name.removeprefix("aten::")
    op = (name, tuple(kwargs), tuple(settings)) if kwargs or any(settings) else name
    ordered = name not in COMMUTATIVE or bool(kwargs)
    rows = _rows(nodes, [a for a in given if isinstance(a, ENTRIES)], result.shape)
    ids = torch.empty(len(rows), dtype=torch.int64)
    known = (nodes.is_decided(rows) if decides(result) else nodes.is_constant(rows)).all(1)
    ids[known] = nodes.constants(_folded(nodes, func, args, kwargs, rows[known]))
    ids[~known] = _apply(nodes, op, rows[~known], ordered)
    if (decided := ~known & nodes.is_decided(rows).all(1)).any():
        nodes.decide(ids[decided], _folded(nodes, func, args, kwargs, rows[decided]).tolist())
    return tensor_of(nodes, ids, result)


def _apply(nodes: Nodes, op: Hashable, rows: torch.Tensor, ordered: bool) -> torch.Tensor:
    """One node a row; whether a label is a certain unit, the label knows already, and what is multiplied by 0 is 0."""
    if op == "mul":
        return nodes.times_each(*rows.unbind(1))
    if op == "eq" and (labelled := nodes.is_label(rows).any(1)).any():
        ids = torch.empty(len(rows), dtype=torch.int64)
        ids[~labelled] = nodes.apply_each(op, rows[~labelled], ordered)
        ids[labelled] = torch.tensor([_is_unit(nodes, *row) for row in rows[labelled].tolist()], dtype=torch.int64)
        return ids
    return nodes.apply_each(op, rows, ordered)


def _is_unit(nodes: Nodes, left: int, right: int) -> int:
    """The node of "this label is this unit"."""
    for label, unit in ((left, right), (right, left)):
        if label in nodes.choices and unit in nodes.values:
            number, units = nodes.values[unit], nodes.choices[label].units
            return units[int(number.real)] if number in range(len(units)) else nodes.constant(False)
    return nodes.apply("eq", (left, right), ordered=False)


def _rows(nodes: Nodes, arguments: Iterable[Any], shape: torch.Size) -> torch.Tensor:
    """For each entry of the result the nodes that it is computed from: (entries, arguments)."""
    return torch.stack([ids_of(nodes, a).expand(shape).flatten() for a in arguments], 1)


def _folded(nodes: Nodes, func: Any, args: Any, kwargs: Any, rows: torch.Tensor) -> torch.Tensor:
    """What operations on decided nodes are worth: the op itself, on the values of all ``rows`` at once."""
    if not len(rows):
        return torch.empty(0)
    columns = iter(rows.T.tolist())

    def values(argument: Any) -> Any:
        column = [nodes.value(c) for c in next(columns)] if isinstance(argument, ENTRIES) else ()
        return torch.tensor(column, dtype=argument.dtype) if isinstance(argument, torch.Tensor) else argument

    return func(*[values(a) for a in args], **{k: values(v) for k, v in kwargs.items()})


@unrolls(["where"])
def where(func: Any, condition: Any, yes: Any, no: Any) -> Scalars:
    """A constant condition chooses between nodes; any other is an operation of three."""
    nodes, result = nodes_of(condition, yes, no), like(func, condition, yes, no)
    rows = _rows(nodes, (condition, yes, no), result.shape)
    known = nodes.is_constant(rows[:, 0])
    ids = torch.empty(len(rows), dtype=torch.int64)
    ids[known] = torch.tensor([y if nodes.values[c] else n for c, y, n in rows[known].tolist()], dtype=torch.int64)
    ids[~known] = nodes.apply_each("where", rows[~known])
    return tensor_of(nodes, ids, result)


@unrolls(["_to_copy"])
def cast(func: Any, source: Scalars, **kwargs: Any) -> Scalars:
    """A change of precision is none; to whole numbers, truth values or real parts, it is an operation."""
    nodes, result = source.nodes, like(func, source, **kwargs)
    ids = source.entries().flatten()
    lossy = (source.is_floating_point() and not result.is_floating_point()) or source.is_complex()
    if lossy and source.dtype != result.dtype:
        known, rows = nodes.is_decided(ids) if decides(result) else nodes.is_constant(ids), ids[:, None]
        ids = torch.empty(len(rows), dtype=torch.int64)
        ids[known] = nodes.constants(_folded(nodes, func, (source,), kwargs, rows[known]))
        ids[~known] = nodes.apply_each(("to", str(result.dtype)), rows[~known])
    return tensor_of(nodes, ids, result)


@unrolls(["view_as_complex"])
def pairs(func: Any, source: Scalars) -> Scalars:
    """``... 2 -> ...``: real and imaginary parts side by side make one complex entry."""
    nodes = source.nodes
    ids = nodes.apply_each("complex", source.entries().reshape(-1, 2))
    return tensor_of(nodes, ids, like(func, source))


@unrolls(["view_as_real"])
def parts(func: Any, source: Scalars) -> Scalars:
    """``... -> ... 2``"""
    nodes = source.nodes
    entries = source.entries().reshape(-1, 1)
    ids = torch.stack([nodes.apply_each(part, entries) for part in ("real", "imag")], 1)
    return tensor_of(nodes, ids, like(func, source))
