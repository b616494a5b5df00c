"""One call or more for every op that has a rule: real arguments, to be run as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from graphmerge.rules.elementwise import DROPOUT, POINTWISE, SAME, SPELLED

Shape = tuple[int, ...]


@dataclass(frozen=True)
class T:
    """A tensor argument: how to draw it. ``constant`` ones are known to the rule; they may label units."""

    shape: Shape
    draw: Callable[[Shape, torch.Generator], torch.Tensor]
    constant: bool = False
    alike: tuple[int, ...] = ()  # axes along which it is spread out from one unit
    labels: int = 0


def normal(shape: Shape, g: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=g)


def between(low: float, high: float) -> Callable[[Shape, torch.Generator], torch.Tensor]:
    return lambda shape, g: low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=g)


def below(n: int) -> Callable[[Shape, torch.Generator], torch.Tensor]:
    return lambda shape, g: torch.randint(n, shape, generator=g)


def yes_or_no(shape: Shape, g: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=g) < 0.5


def yes_first(shape: Shape, g: torch.Generator) -> torch.Tensor:
    chosen = yes_or_no(shape, g)
    chosen.view(-1)[0] = True  # something is chosen
    return chosen


def complex_normal(shape: Shape, g: torch.Generator) -> torch.Tensor:
    return torch.complex(normal(shape, g), normal(shape, g))


def f(*shape: int) -> T:
    """Drawn from the normal distribution."""
    return T(shape, normal)


def positive(*shape: int) -> T:
    return T(shape, between(0.5, 2.0))


def inside(*shape: int) -> T:
    """Between 0 and 1."""
    return T(shape, between(0.1, 0.9))


def above_one(*shape: int) -> T:
    return T(shape, between(1.1, 3.0))


def index(rows: int, *shape: int) -> T:
    return T(shape, below(rows))


def labels(units: int, *shape: int) -> T:
    """Indices that name units, as topk returns them."""
    return T(shape, below(units), labels=units)


def mask(*shape: int) -> T:
    return T(shape, yes_or_no)


def choice(*shape: int) -> T:
    return T(shape, yes_first)


def spread(arg: T, *shape: int) -> T:
    """The same, expanded to a shape."""
    axes = tuple(d for d, n in enumerate(shape) if arg.shape[d] < n)
    return T(shape, lambda _, g: arg.draw(arg.shape, g).expand(shape), alike=axes)


def pair(*shape: int) -> T:
    return T(shape, complex_normal)


def known(values: Any) -> T:
    """A constant that the rule can look at."""
    array = np.asarray(values)
    return T(array.shape, lambda *_: torch.from_numpy(array.copy()), constant=True)


@dataclass(frozen=True)
class Example:
    """``op`` with its overload; arguments may be nested in lists."""

    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = ", ".join(map(_show, self.args))
        extra = "".join(f", {k}={v}" for k, v in self.kwargs.items() if not isinstance(v, T))
        return f"{self.op.removeprefix('aten.').removesuffix('.default')}({shown}{extra})"


def _show(arg: Any) -> str:
    if isinstance(arg, list):
        return f"[{', '.join(map(_show, arg))}]"
    return ("x".join(map(str, arg.shape)) or "()") if isinstance(arg, T) else str(arg)


EXAMPLES: list[Example] = []


def example(op: str, *args: Any, **kwargs: Any) -> None:
    EXAMPLES.append(Example(f"aten.{op}" if "." in op else f"aten.{op}.default", args, kwargs))


# -- elementwise -----------------------------------------------------------------------------------------------------

INSIDE = ("acos", "asin", "atanh", "erfinv", "log1p", "logit")
POSITIVE = ("lgamma", "log", "log10", "log2", "reciprocal", "rsqrt", "sqrt")
INTEGER = ("bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", *SPELLED)
TWO = (
    "atan2", "bitwise_and", "bitwise_or", "bitwise_xor", "copysign", "eq", "floor_divide", "fmod", "ge", "gt",
    "heaviside", "hypot", "le", "logaddexp", "logical_and", "logical_or", "logical_xor", "lt", "maximum", "minimum",
    "mul", "ne", "pow", "remainder", "rsub", "sub", "add", "div", "true_divide", "xlogy", *SPELLED,
)  # fmt: skip
OVERLOAD = {"pow": "Tensor_Tensor"} | dict.fromkeys(
    ("atan2", "floor_divide", "heaviside", "hypot", "logaddexp", "logical_and", "logical_or", "logical_xor", "maximum",
     "minimum"), "default"
)  # fmt: skip
SPECIAL: dict[str, list[tuple[Any, ...]]] = {
    "addcdiv": [("default", f(3, 4), f(4), positive(3, 1))],
    "addcmul": [("default", f(3, 4), f(4), f(3, 1))],
    "angle": [("default", pair(3, 4))],
    "clamp": [("default", f(3, 4), -0.5, 0.5), ("Tensor", f(3, 4), inside(4), positive(3, 1))],
    "clamp_max": [("default", f(3, 4), 0.5), ("Tensor", f(3, 4), f(4))],
    "clamp_min": [("default", f(3, 4), 0.5), ("Tensor", f(3, 4), f(4))],
    "complex": [("default", f(3, 4), f(4))],
    "conj": [("default", pair(3, 4))],
    "hardtanh": [("default", f(3, 4), -0.5, 0.5)],
    "imag": [("default", pair(3, 4))],
    "leaky_relu": [("default", f(3, 4), 0.1)],
    "lerp": [("Tensor", f(3, 4), f(3, 4), f(4)), ("Scalar", f(3, 4), f(4), 0.3)],
    "masked_fill": [("Scalar", f(3, 4), mask(4), 2.0), ("Tensor", f(3, 4), mask(3, 1), f())],
    "polar": [("default", positive(3, 4), f(4))],
    "pow": [("Tensor_Tensor", positive(3, 4), f(4)), ("Tensor_Scalar", f(3, 4), 2), ("Scalar", 2.0, f(3, 4))],
    "real": [("default", pair(3, 4))],
    "threshold": [("default", f(3, 4), 0.1, 5.0)],
    "where": [("self", mask(3, 1), f(3, 4), f(4)), ("ScalarOther", mask(3, 4), f(4), 0.0)],
    "acosh": [("default", above_one(3, 4))],
    "_to_copy": [("default", f(3, 4))],
    "to": [("dtype", f(3, 4), torch.float32), ("other", f(3, 4), f(4, 3))],
    "type_as": [("default", f(3, 4), f(4, 3))],
    "_conj": [("default", pair(3, 4))],
    "resolve_conj": [("default", pair(3, 4))],
}


def _pointwise(name: str) -> None:
    if name in SPECIAL:
        for overload, *args in SPECIAL[name]:
            example(f"{name}.{overload}", *args)
        return
    make = inside if name in INSIDE else positive if name in POSITIVE else f
    if name in INTEGER:
        make = lambda *shape: index(8, *shape)  # noqa: E731
    if name in TWO:
        op = f"{name}.{OVERLOAD.get(name, 'Tensor')}"
        if name not in ("copysign", "xlogy", *INTEGER):
            make = positive if name in ("fmod", "remainder") else make
        example(op, make(3, 4), make(4))
        example(op, make(4, 4), make(4, 4))
        if not name.startswith("__i"):  # in place: the result has the first's shape
            example(op, make(3, 1), make(1, 4))
    else:
        example(name, make(3, 4))


for name in (*POINTWISE, *SAME, *SPELLED):
    _pointwise(name)
for name in DROPOUT:
    example(name, f(2, 3), 0.5, False)
example("add_.Tensor", f(3, 4), f(4))
example("add.Tensor", f(3, 4), 2.0)
example("mul.Tensor", f(3, 4), 2.0)
example("div.Tensor_mode", f(3, 4), positive(4), rounding_mode="floor")
example("div.Scalar_mode", f(3, 4), 2.0, rounding_mode="trunc")
example("to.dtype", f(3, 4), torch.int64)
example("copy", f(3, 4), f(4))
for name in ("tril", "triu"):
    example(name, f(3, 3))
example("_assert_async", known(True))
example("_assert_scalar", 1, "true")
example("_assert_tensor_metadata", f(2, 3))

# -- scans -----------------------------------------------------------------------------------------------------------

for name in ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"):
    example(name, f(3, 4, 2), 1)
example("flip", f(3, 4, 4), [1, 2])
example("fliplr", f(3, 4))
example("flipud", f(3, 4))
example("roll", f(3, 4), [1], [1])
example("roll", f(3, 4), [1])

# -- contractions ----------------------------------------------------------------------------------------------------

example("linear", f(2, 3), f(4, 3), f(4))
example("linear", f(3, 3, 3), f(3, 3))
example("linear", f(3), f(4, 3))
example("matmul", f(3), f(3))
example("matmul", f(3), f(2, 3, 4))
example("matmul", f(2, 4, 3), f(3))
example("matmul", f(2, 1, 4, 3), f(5, 3, 4))
example("matmul", f(3, 3, 3), f(3, 3))
example("mm", f(3, 3), f(3, 3))
example("bmm", f(2, 3, 4), f(2, 4, 3))
example("mv", f(3, 3), f(3))
example("dot", f(3), f(3))
example("addmm", f(4), f(3, 4), f(4, 4))
example("addmm", f(3, 1), f(3, 2), f(2, 4), beta=2, alpha=0.5)
example("baddbmm", f(2, 1, 4), f(2, 3, 4), f(2, 4, 4))
example("addbmm", f(3, 4), f(2, 3, 4), f(2, 4, 4))
example("addmv", f(3), f(3, 4), f(4))
example("outer", f(3), f(3))
example("bilinear", f(2, 3), f(2, 3), f(4, 3, 3), f(4))
example("bilinear", f(2, 3), f(2, 4), f(5, 3, 4))
example("einsum", "bihd,bjhd->bhij", [f(2, 3, 2, 4), f(2, 3, 2, 4)])
example("einsum", "ij,jk", [f(3, 3), f(3, 3)])
example("einsum", "...ij,...j->...i", [f(1, 3, 3), f(4, 3)])
example("einsum", "iij->ji", [f(3, 3, 4)])
example("einsum", "tef,efd,te->td", [f(3, 2, 4), f(2, 4, 3), f(3, 2)])
example("conv1d", f(2, 4, 5), f(6, 4, 2), f(6))
example("conv1d", f(2, 4, 5), f(6, 2, 3), None, [1], [1], [1], 2)
example("conv1d.padding", f(4, 5), f(4, 1, 3), f(4), [1], "same", [1], 4)
example("conv2d", f(2, 3, 4, 4), f(3, 3, 2, 2), f(3))
example("conv3d", f(1, 2, 3, 3, 3), f(3, 2, 2, 2, 2))
example("convolution", f(2, 4, 5), f(4, 2, 1), f(4), [1], [0], [1], False, [0], 2)
HEADS = (f(2, 3, 4, 5), f(2, 3, 4, 5), f(2, 3, 4, 5))
example("scaled_dot_product_attention", *HEADS)
example("scaled_dot_product_attention", *HEADS, f(4, 4))
example("scaled_dot_product_attention", *HEADS, f(2, 3, 1, 4))
example("scaled_dot_product_attention", *HEADS, None, 0.0, True)
example("scaled_dot_product_attention", f(4, 3), f(4, 3), f(4, 2))
example("scaled_dot_product_attention", f(2, 6, 4, 3), f(2, 2, 4, 3), f(2, 2, 4, 5), enable_gqa=True)

# -- reductions and norms --------------------------------------------------------------------------------------------

for name in ("sum", "mean", "prod", "nansum", "median", "nanmedian", "max", "min", "std", "var", "all", "any"):
    example(name, f(3, 4))
for name in ("amax", "amin", "logsumexp", "count_nonzero.dim_IntList", "sum.dim_IntList", "mean.dim", "nansum"):
    example(name, f(3, 4, 3), [0, 2])
for name in ("max.dim", "min.dim", "median.dim", "nanmedian.dim", "prod.dim_int", "all.dim", "any.dim", "mode"):
    example(name, f(3, 4, 4), 1)
for name in ("std.correction", "var.correction", "var_mean.correction", "std_mean.correction"):
    example(name, f(3, 4), [1], correction=0, keepdim=True)
example("nanmean", f(3, 4), [0])
example("aminmax", f(3, 4), dim=0)
example("max.other", f(3, 4), f(4))
example("min.other", f(3, 4), f(4))
example("kthvalue", f(3, 4), 2)
example("kthvalue", f(3, 5), 2, 0)
example("kthvalue", f(3, 3), 2, 0, True)
example("norm.ScalarOpt_dim", f(3, 4), 2, [1])
example("norm.Scalar", f(3, 4))
example("linalg_vector_norm", f(3, 4), 2, [1], True)
for name in ("argmax", "argmin"):
    example(name, f(3, 4), 1)
    example(name, f(3, 4))
example("softmax.int", f(3, 4, 3), 1)
example("log_softmax.int", f(3, 4), -1)
example("_softmax", f(3, 4), 0, False)
example("_log_softmax", f(3, 4), 1, False)
example("_safe_softmax", f(3, 4), 1)
example("layer_norm", f(2, 3, 4), [4], f(4), f(4))
example("layer_norm", f(2, 3, 4), [3, 4], f(3, 4))
example("layer_norm", f(3, 4), [4])
example("native_layer_norm", f(2, 3, 4), [4], f(4), f(4), 1e-5)
example("rms_norm", f(2, 3, 4), [4], f(4))
example("_fused_rms_norm", f(2, 3, 4), [4], f(4), 1e-5)
STATISTICS = (f(4), f(4), f(4), positive(4))
example("batch_norm", f(3, 4, 2), *STATISTICS, False, 0.1, 1e-5, False)
example("batch_norm", f(3, 4), None, None, None, None, True, 0.1, 1e-5, False)
example("batch_norm", f(3, 4), None, None, f(4), positive(4), False, 0.1, 1e-5, False)
example("_native_batch_norm_legit_no_training", f(3, 4, 2), *STATISTICS, 0.1, 1e-5)
example("group_norm", f(2, 6, 3), 2, f(6), f(6))
example("group_norm", f(2, 4, 3), 1, None, f(4))
example("topk", f(3, 4), 2)
example("topk", f(3, 4), 2, 0)
example("sort", f(3, 4))
example("sort.stable", f(3, 4), stable=True, dim=0)

# -- views -----------------------------------------------------------------------------------------------------------

for name in ("view", "reshape", "_unsafe_view"):
    example(name, f(2, 6), [2, 2, 3])
    example(name, f(2, 1, 6), [12])
example("reshape", f(4, 6), [2, 4, 3])
example("reshape", f(2, 3), [3, 2])
example("reshape", f(3, 4), [1, 3, 1, 4])
example("_reshape_alias", f(2, 6), [2, 2, 3], [6, 3, 1])
example("flatten.using_ints", f(2, 2, 3), 1)
example("unflatten.int", f(2, 6), -1, [2, 3])
example("squeeze", f(2, 1, 3, 1))
example("squeeze.dim", f(1, 3, 1), 0)
example("unsqueeze", f(3, 4), 1)
example("view_as", f(2, 6), f(2, 2, 3))
example("reshape_as", f(2, 6), f(4, 3))
example("ravel", f(3, 4))
example("atleast_1d", f(3))
example("atleast_2d", f(3))
example("view.dtype", f(3, 4), torch.int64)
example("as_strided", f(3, 4), [4, 3], [1, 4])
example("as_strided", f(2, 6, 3), [2, 3, 2, 3], [18, 6, 3, 1])
example("as_strided", f(2, 6, 3), [2, 5, 2, 3], [18, 3, 3, 1])
example("as_strided", f(3, 3), [3, 2], [4, 0])
example("unfold", f(3, 6), 1, 2, 2)
example("unfold", f(3, 6, 4), -2, 3, 1)
example("pixel_shuffle", f(2, 12, 2, 3), 2)
example("pixel_shuffle", f(18, 1, 2), 3)
example("pixel_unshuffle", f(2, 3, 4, 6), 2)
example("im2col", f(1, 2, 4, 4), [2, 2], [1, 1], [0, 0], [2, 2])
example("permute", f(3, 3, 4), [1, -1, 0])
for name in ("transpose.int", "swapaxes", "swapdims"):
    example(name, f(3, 3, 4), 0, -1)
example("t", f(3, 3))
example("t", f(3))
example("numpy_T", f(3, 4, 3))
for name in ("mT", "mH", "adjoint"):
    example(name, f(2, 3, 3))
example("matrix_H", f(3, 3))
example("movedim.int", f(3, 4, 3), 0, 2)
example("moveaxis.intlist", f(3, 4, 3), [0, 1], [2, 0])
example("expand", f(3, 1, 4), [2, 3, 5, 4])
example("broadcast_to", f(3, 1), [3, 3])
example("expand_as", f(1, 4), f(4, 4))
example("repeat", f(3, 2), [2, 1, 2])
example("tile", f(2, 3), [2])
example("repeat_interleave.self_int", f(2, 3), 2, 1)
example("view_as_complex", f(3, 4, 2))
example("view_as_real", pair(3, 4))
example("diagonal", f(3, 3))

# -- parts and look-ups ----------------------------------------------------------------------------------------------

example("slice.Tensor", f(3, 6), 1, 2, 5)
example("slice.Tensor", f(3, 6), 1, -2, 9223372036854775807)
example("slice.Tensor", f(3, 6), 1, 1, 6, 2)
example("slice.Tensor", f(3, 6), 1, 4, 6, 3)
example("narrow", f(5, 3), -2, 1, 3)
example("select.int", f(3, 4), 0, -1)
example("unbind.int", f(3, 3), 1)
example("split.Tensor", f(3, 5), 2, 1)
example("split.sizes", f(3, 4), [1, 3], 1)
example("unsafe_split.Tensor", f(4, 3), 2)
example("split_with_sizes", f(4, 3), [1, 3])
example("chunk", f(3, 5), 2, -1)
example("unsafe_chunk", f(6), 3)
example("tensor_split.sections", f(5, 2), 2)
example("glu", f(3, 4))
example("glu", f(6, 3), 0)
for name in ("cat", "concat", "concatenate"):
    example(name, [f(3, 2), f(3, 3)], 1)
example("cat", [f(3, 2), f(0), f(2, 2)])
example("stack", [f(3, 4), f(3, 4)], 1)
example("constant_pad_nd", f(3, 4), [1, 2, 0, 1])
example("constant_pad_nd", f(3, 4), [-1, 1], 2.0)
example("pad", f(3, 4), [1, 2])
example("embedding", f(5, 3), index(5, 2, 3))
example("index.Tensor", f(5, 3), [index(5, 3)])
example("index.Tensor", f(3, 4, 3), [None, index(4, 2, 1), index(3, 3)])
example("index.Tensor", f(3, 4, 3), [index(3, 2), None, index(3, 2)])
example("index.Tensor", f(2, 3, 4, 3), [None, index(3, 2, 1), None, index(3, 2)])
example("index_put", f(3, 4, 3), [index(3, 2), None, index(3, 2)], f(2, 4))
example("index.Tensor", f(3, 5), [None, known([1, 2, 3])])
example("index.Tensor", f(3, 4), [None, known([False, True, True, False])])
example("index_select", f(3, 4), 1, index(4, 3))
example("gather", f(3, 4), 1, index(4, 3, 2))
example("gather", f(3, 4), 1, index(4, 2, 2))
example("take_along_dim", f(3, 4), index(4, 3, 2), 1)
example("one_hot", index(4, 3), 4)
example("scatter.src", f(3, 4), 1, index(2, 3, 2), f(3, 2))
example("scatter.value", f(3, 4), 1, index(4, 3, 1), 2.0)
example("scatter_add", f(3, 4), 1, index(4, 3, 2), f(3, 2))
example("index_add", f(3, 4), 1, index(4, 3), f(3, 3))
example("scatter_add", f(3, 4), 0, index(3, 2, 3), f(4, 4))
example("scatter_reduce.two", f(3, 4), 1, index(4, 3, 2), f(3, 2), "amax")
example("index_copy", f(3, 4), 1, index(4, 3), f(3, 3))
example("index_put", f(3, 4), [index(3, 2)], f(4))
example("index_put", f(3, 4), [index(3, 2)], f(2, 4), True)
example("index_put", f(2, 3, 4), [None, index(3, 2), index(4, 2)], f(2), True)
example("nonzero", mask(3, 4))
example("index.Tensor", f(3, 4, 2), [choice(3, 4)])
example("index.Tensor", f(3, 4, 3), [None, choice(4)])
example("index.Tensor", f(3, 4), [spread(choice(3, 1), 3, 4)])
example("index_put", f(3, 4, 2), [choice(3, 4)], f())
example("index_put", f(3, 4), [None, choice(4)], f(3, 1))
example("index.Tensor", f(3, 4), [known([True, False, True])])
example("index_put", f(3, 4), [None, known([True, False, True, True])], f(3, 3))
example("index_put", f(2, 3, 4), [None, known([True, False, True])], f(2, 4))
example("masked_scatter", f(3, 4, 3), spread(mask(3, 4, 1), 3, 4, 3), f(12, 3))
example("masked_scatter", f(3, 4), mask(3, 1), f(3, 4))
example("masked_scatter", f(3, 4), mask(3, 4), f(12))
example("masked_scatter", f(3, 4), mask(3, 4), f(3, 4))
example("masked_scatter", f(3, 4), spread(mask(3, 1), 3, 4), f(4, 3))
example("repeat_interleave.self_Tensor", f(3, 4), known([2, 1, 0]), 0)
example("repeat_interleave.self_Tensor", f(3), known([2, 1, 0]))
example("repeat_interleave.self_int", f(3), 2)
example("repeat_interleave.self_Tensor", f(3, 4), index(3, 4), 1)

# -- windows ---------------------------------------------------------------------------------------------------------

for n, shape in ((1, (4,)), (2, (4, 4)), (3, (4, 4, 4))):
    image, half = f(2, 3, *shape), [2] * n
    for kind in ("avg", "max"):
        if (kind, n) != ("max", 2):
            example(f"{kind}_pool{n}d", image, half, half)
        example(f"adaptive_{kind}_pool{n}d", image, half)
        example(f"adaptive_{kind}_pool{n}d", image, [1] * n)
    example(f"conv_transpose{n}d{'.input' if n > 1 else '.default'}", image, f(3, 2, *half), f(2))
example("conv_transpose1d", f(2, 4, 3), f(4, 3, 2), None, [2], [0], [0], 2)
example("max_pool2d", f(2, 3, 4, 4), [2, 2], [2, 2])
for window, stride in (([2, 1], [2, 1]), ([1, 2], []), ([1, 1], [1, 2])):
    example("avg_pool2d", f(2, 3, 4, 4), window, stride)
    example("max_pool2d", f(2, 3, 4, 4), window, stride)
example("max_pool2d_with_indices", f(2, 3, 4, 4), [2, 2], [2, 2])
example("_adaptive_avg_pool2d", f(2, 3, 4, 4), [2, 2])
example("_adaptive_avg_pool2d", f(2, 3, 4, 4), [1, 1])
example("_adaptive_avg_pool2d", f(2, 3, 4, 4), [4, 2])
for name in ("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"):
    example(f"{name}.vec", f(2, 3, 4, 4), [6, 5], False, None)
example("upsample_linear1d.vec", f(2, 3, 4), [6], False, None)
example("upsample_trilinear3d.vec", f(2, 3, 4, 4, 4), [6, 3, 2], False, None)
for n, size in ((1, [6]), (2, [6, 5]), (3, [6, 5, 3])):
    example(f"upsample_nearest{n}d.vec", f(2, 3, *[4] * n), size, None)
example("fft_fft", f(3, 4))
example("fft_fft", f(3, 4), None, 0)
example("fft_ifft", pair(3, 4))
example("fft_hfft", pair(3, 4))
example("fft_irfft", pair(3, 4))
example("fft_rfft", f(3, 4), None, 0)
for name in ("fft_fft2", "fft_ifft2", "fft_irfft2", "fft_fftn", "fft_ifftn", "fft_irfftn"):
    example(name, pair(2, 3, 4))
example("fft_rfft2", f(2, 3, 4))
example("fft_rfftn", f(3, 4, 3), None, [1, 2])
example("linalg_solve_triangular", f(2, 3, 3), f(2, 3, 4), upper=False, unitriangular=True)
example("_is_all_true", mask(3, 4))
example("_is_any_true", mask(3, 4))

# -- second names ----------------------------------------------------------------------------------------------------

example("multiply.Tensor", f(3, 4), f(4))
example("divide.Tensor", f(3, 4), f(4))
example("subtract.Tensor", f(3, 4), f(3, 1))
example("clip", f(3, 4), -0.5, 0.5)
example("special_expit", f(3, 4))
example("special_softmax", f(3, 4), 1)
example("conv2d", f(2, 3, 4, 4), f(3, 3, 2, 1), f(3))
example("conv2d", f(2, 3, 4, 4), f(3, 3, 1, 2), None, [1, 1], [0, 1])
example("conv1d", f(2, 3, 4), f(3, 3, 1), None, [2])
example("conv1d.padding", f(2, 3, 4), f(3, 3, 1), None, [1], "valid")
example("im2col", f(2, 3, 4, 4), [2, 2], [1, 1], [0, 0], [1, 1])
example("im2col", f(3, 5, 1), [3, 1], [1, 1], [1, 0], [1, 1])
example("col2im", f(2, 12, 9), [4, 4], [2, 2], [1, 1], [0, 0], [1, 1])
