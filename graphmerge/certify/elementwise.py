"""Elementwise ops: one node an entry."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import torch

from graphmerge.certify.nodes import Nodes
from graphmerge.certify.scalars import Scalars, ids_of, like, nodes_of, unrolls

# Arguments may change places.
COMMUTATIVE: Final = frozenset(
    "add mul maximum minimum fmax fmin eq ne logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor "
    "logaddexp hypot".split()
)
UNARY: Final = (
    "_conj abs acos acosh angle asin asinh atan atanh bitwise_not ceil celu clamp clamp_max clamp_min conj_physical cos cosh "
    "deg2rad elu erf erfc erfinv exp exp2 expm1 floor frac gelu hardshrink hardsigmoid hardswish hardtanh isfinite isinf "
    "isnan leaky_relu lgamma log log10 log1p log2 log_sigmoid logical_not logit mish nan_to_num neg "
    "rad2deg reciprocal relu relu6 round rsqrt sgn sigmoid sign silu sin sinc sinh softplus softshrink special_erfcx sqrt "
    "square tan tanh threshold trunc"
).split()
SEVERAL: Final = (
    "addcdiv addcmul atan2 copysign div floor_divide fmod ge gt le lerp lt pow remainder sub xlogy _prelu_kernel"
).split()
Static = tuple[Hashable, ...]


@unrolls([*COMMUTATIVE, *UNARY, *SEVERAL])
def elementwise(func: Any, *args: Any, **kwargs: Any) -> Scalars:
    """A node for each entry of the broadcast arguments; entries whose arguments are all constants become values."""
    nodes = nodes_of(args, kwargs)
    result = like(func, *args, **kwargs)
    name = func._schema.name.removeprefix("aten::")
    if kwargs.get("alpha") == 1:
        del kwargs["alpha"]
    given = [*args, *kwargs.values()]
    is_entry = [isinstance(a, (torch.Tensor, bool, int, float, complex)) for a in given]
    statics = tuple(None if known else str(a) for a, known in zip(given, is_entry))
    op = (name, *kwargs, *statics) if any(s is not None for s in statics) or kwargs else name
    columns = [ids_of(nodes, a).expand(result.shape).flatten().tolist() for a, known in zip(given, is_entry) if known]
    ordered = name not in COMMUTATIVE or bool(kwargs)
    rows = list(zip(*columns))
    values = _fold(nodes, func, args, kwargs, {row for row in rows if all(c in nodes.values for c in row)})
    ids = [values[row] if row in values else nodes.apply(op, row, ordered) for row in rows]
    return Scalars(nodes, torch.tensor(ids, dtype=torch.int64).reshape(result.shape), result.dtype)


def _fold(nodes: Nodes, func: Any, args: Any, kwargs: Any, rows: set[tuple[int, ...]]) -> dict[tuple[int, ...], int]:
    """The nodes of constants: the op itself, on the values of all ``rows`` at once."""
    if not rows:
        return {}
    table = sorted(rows)
    columns = iter(zip(*table))

    def values(argument: Any) -> Any:
        if not isinstance(argument, (torch.Tensor, bool, int, float, complex)):
            return argument
        column = [nodes.values[c] for c in next(columns)]
        return torch.tensor(column, dtype=argument.dtype) if isinstance(argument, torch.Tensor) else argument

    folded = func(*[values(a) for a in args], **{k: values(v) for k, v in kwargs.items()})
    return dict(zip(table, nodes.constants(folded).tolist()))


@unrolls(["where"])
def where(func: Any, condition: Any, yes: Any, no: Any) -> Scalars:
    """A constant condition chooses between nodes; any other is an operation of three."""
    nodes = nodes_of(condition, yes, no)
    result = like(func, condition, yes, no)
    columns = [ids_of(nodes, a).expand(result.shape).flatten().tolist() for a in (condition, yes, no)]
    ids = []
    for c, y, n in zip(*columns):
        ids.append((y if nodes.values[c] else n) if c in nodes.values else nodes.apply("where", (c, y, n)))
    return Scalars(nodes, torch.tensor(ids, dtype=torch.int64).reshape(result.shape), result.dtype)


@unrolls(["_to_copy"])
def cast(func: Any, source: Scalars, **kwargs: Any) -> Scalars:
    """A change of precision is none; one that may lose more (to integers, to real numbers) is an operation."""
    nodes, dtype = source.nodes, like(func, source, **kwargs).dtype
    ids = source.entries().clone()
    if (source.is_floating_point() and not dtype.is_floating_point) or (source.is_complex() and not dtype.is_complex):
        op = ("to", str(dtype))
        whole = [
            nodes.constant(int(nodes.values[n].real)) if n in nodes.values else nodes.apply(op, (n,))
            for n in ids.flatten().tolist()
        ]
        ids = torch.tensor(whole, dtype=torch.int64).reshape(ids.shape)
    return Scalars(nodes, ids, dtype)
