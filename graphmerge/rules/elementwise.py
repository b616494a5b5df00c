"""Ops that act on each entry alone, whatever its place: listed, never guessed."""

from __future__ import annotations

from graphmerge.algebra import Equation
from graphmerge.rules.labels import compared
from graphmerge.rules.registry import Call, NotCovered, Ref, axis_letters, broadcast, normal_dims, op_key, rule

# sorted; a test keeps them so and checks that each exists
POINTWISE = (
    "abs", "acos", "acosh", "add", "addcdiv", "addcmul", "angle", "asin", "asinh", "atan", "atan2", "atanh",
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "celu", "clamp", "clamp_max", "clamp_min",
    "complex", "conj", "copysign", "cos", "cosh", "div", "elu", "eq", "erf", "erfc", "erfinv", "exp", "exp2", "expm1",
    "floor", "floor_divide", "fmod", "frac", "ge", "gelu", "gt", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "heaviside", "hypot", "imag", "isfinite", "isinf", "isnan", "le", "leaky_relu", "lerp", "lgamma", "log", "log10",
    "log1p", "log2", "log_sigmoid", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "logit",
    "lt", "masked_fill", "maximum", "minimum", "mish", "mul", "nan_to_num", "ne", "neg", "polar", "pow", "real",
    "reciprocal", "relu", "relu6", "remainder", "round", "rsqrt", "rsub", "selu", "sgn", "sigmoid", "sign", "silu",
    "sin", "sinc", "sinh", "softplus", "softshrink", "sqrt", "square", "sub", "tan", "tanh", "threshold", "true_divide",
    "trunc", "where", "xlogy",
)  # fmt: skip
# the same entries in another memory format, dtype or storage
SAME = (
    "alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", "positive", "resolve_conj",
    "resolve_neg", "to", "type_as", "_conj", "_to_copy",
)  # fmt: skip
SPELLED = ("__and__", "__iand__", "__ior__", "__ixor__", "__or__", "__xor__")
SCANS = ("cummax", "cummin", "cumprod", "cumsum", "flip", "fliplr", "flipud", "logcumsumexp", "roll")
DROPOUT = ("alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout")


@rule(*(f"aten.{n}" for n in POINTWISE), *(f"aten.{n}" for n in SPELLED), kind="elementwise")
def pointwise(call: Call) -> list[Equation]:
    """The same letters in every term, broadcasting: ``..., ..., -> ...``."""
    if op_key(call.node.op) == "aten.eq" and (eq := compared(call)) is not None:
        return [eq]
    return [aligned(call, call.tensors)]


@rule(*(f"aten.{n}" for n in SAME), kind="identity")
def same(call: Call) -> list[Equation]:
    """Only the first argument is read; others give a dtype or a device."""
    return [aligned(call, call.tensors[:1])]


@rule(*(f"aten.{n}" for n in DROPOUT), kind="identity")
def dropout(call: Call) -> list[Equation]:
    """The identity in eval mode; one that is always on draws at random, which no permutation survives."""
    if call.arg(2, "train"):
        raise NotCovered("it is on in eval mode: random")
    return [aligned(call, call.tensors)]


@rule("aten.copy", kind="elementwise")
def copy(call: Call) -> list[Equation]:
    """``x.copy_(y)``: x becomes y."""
    return [aligned(call, call.tensors)]


def aligned(call: Call, refs: list[Ref]) -> Equation:
    """All terms broadcast to the output."""
    letters = axis_letters(len(call.out.shape))
    sizes = dict(zip(letters, call.out.shape))
    terms = [(r, broadcast(r, letters, sizes)) for r in [*refs, *call.node.outputs]]
    return call.terms(terms, sizes)


@rule("aten.tril", "aten.triu", kind="elementwise")
def triangle(call: Call) -> list[Equation]:
    """A constant mask over the last two axes: both are pinned."""
    return [call.write("... i! j! -> ... i j", [call.tensors[0], call.out])]


@rule("aten._assert_async", "aten._assert_tensor_metadata", "aten._assert_scalar", kind="check")
def check(_: Call) -> list[Equation]:
    """Computes nothing."""
    return []


@rule(*(f"aten.{n}" for n in SCANS), kind="scan")
def scan(call: Call) -> list[Equation]:
    """``... k! -> ... k!``, and what lies along k is mixed: nothing else is over k."""
    x = call.tensors[0]
    letters = axis_letters(len(x.shape))
    name = call.node.op.split(".")[1]
    position = 2 if name == "roll" else 1
    dims = {"fliplr": 1, "flipud": 0}.get(name, call.arg(position, "dims", call.arg(position, "dim")))
    along = [letters[d] for d in normal_dims(dims, len(letters))]
    axes = [(x,) for x in letters]
    kept = [c for c in letters if c not in along]
    terms = [(r, axes) for r in (x, *call.node.outputs)]
    return [call.terms(terms, dict(zip(letters, x.shape)), pins=along, virtual=[kept])]
