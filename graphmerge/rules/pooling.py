"""Positions read in windows: pooling, resampling, transposed convolution, Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence

from graphmerge.algebra import Equation
from graphmerge.algebra.equation import AxisExpr
from graphmerge.rules.aliases import plain_name
from graphmerge.rules.registry import Call, NotCovered, Ref, axis_letters, normal_dims, rule

POOLS = tuple(f"{kind}_pool{n}d" for kind in ("adaptive_avg", "adaptive_max", "avg", "max") for n in (1, 2, 3))
RESAMPLED = (
    "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa", "upsample_bicubic2d", "upsample_bilinear2d",
    "upsample_linear1d", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_trilinear3d",
)  # fmt: skip
TRANSFORMS = (
    "fft_fft", "fft_fft2", "fft_fftn", "fft_hfft", "fft_ifft", "fft_ifft2", "fft_ifftn", "fft_irfft", "fft_irfft2",
    "fft_irfftn", "fft_rfft", "fft_rfft2", "fft_rfftn",
)  # fmt: skip


@rule(*(f"aten.{n}" for n in POOLS), "aten.max_pool2d_with_indices", "aten._adaptive_avg_pool2d", kind="pooling")
def pool(call: Call) -> list[Equation]:
    """``b c x! -> b c y!``; one window over everything is a reduction, which pins nothing unless it says where.

    An axis whose windows have one unit each is carried.
    """
    x, name = call.tensors[0], call.node.op.split(".")[1]
    places = int(name[name.index("d", name.index("pool")) - 1])
    axes = range(len(x.shape) - places, len(x.shape))
    whole = "adaptive" in name and call.out.shape[-places:] == (1,) * places and len(call.node.outputs) == 1
    if len(call.node.outputs) > 1:  # where each was found is counted over all places
        return [_windowed(call, x, axes)]
    return [_windowed(call, x, [d for d in axes if not _single(call, name, d - axes.start, d)], reduced=whole)]


def _single(call: Call, name: str, place: int, dim: int) -> bool:
    """Is every window one unit wide along a pooled axis, and has each unit a window?"""
    if call.out.shape[dim] != call.tensors[0].shape[dim]:
        return False
    if "adaptive" in name:
        return call.out.shape[dim] > 1
    window = call.arg(1, "kernel_size")
    stride, padding = call.arg(2, "stride", ()) or window, call.arg(3, "padding", 0)
    return (_at(window, place), _at(stride, place), _at(padding, place)) == (1, 1, 0)


def _at(setting: int | Sequence[int], place: int) -> int:
    """A setting of one pooled axis; a single number is for all."""
    return setting if isinstance(setting, int) else setting[place if len(setting) > 1 else 0]


@rule(*(f"aten.{n}" for n in RESAMPLED), kind="resampling")
def resample(call: Call) -> list[Equation]:
    """``b c x! -> b c y!``."""
    x = call.tensors[0]
    return [_windowed(call, x, range(2, len(x.shape)))]


@rule(*(f"aten.{n}" for n in TRANSFORMS), kind="transform")
def transform(call: Call) -> list[Equation]:
    """``... x! -> ... y!``: each frequency is a weighted sum of all positions."""
    x, name = call.tensors[0], call.node.op.split(".")[1]
    default = -1 if name.endswith("fft") else (-2, -1) if name.endswith("2") else None
    return [_windowed(call, x, normal_dims(call.arg(2, "dim", default), len(x.shape)))]


def _windowed(call: Call, x: Ref, along: Sequence[int], reduced: bool = False) -> Equation:
    """Along these axes the outputs have positions of their own: both are pinned, all other axes are carried."""
    letters = axis_letters(len(x.shape))
    axes: list[AxisExpr] = [(c,) for c in letters]
    sizes = dict(zip(letters, x.shape))
    pins: list[str] = []
    terms: list[tuple[Ref, list[AxisExpr]]] = [(x, axes)]
    for out in call.node.outputs:
        if len(out.shape) != len(x.shape):
            raise NotCovered(f"shape {out.shape} from {x.shape}")
        own = list(axes)
        for d in along:
            own[d] = () if reduced else (f"y{d}",)
            sizes[f"y{d}"] = out.shape[d]
        terms.append((out, own))
    if not reduced:
        pins = [p for d in along for p in (letters[d], f"y{d}")]
    return call.terms(terms, sizes, pins=pins)


@rule("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d", kind="convolution")
def transposed_convolution(call: Call) -> list[Equation]:
    """``b (g i) x!, (g i) o k!, (g o) -> b (g o) y!``."""
    x, weight, bias = call.arg(0, "input"), call.arg(1, "weight"), call.arg(2, "bias")
    groups, places = call.arg(6, "groups", 1), len(weight.shape) - 2
    batch = ["b"] if len(x.shape) == len(weight.shape) else []
    spots = {s: [f"{s}{k}" for k in range(places)] for s in "xky"}
    sizes = {"g": groups, "i": weight.shape[0] // groups, "o": weight.shape[1]} | dict(zip(batch, x.shape))
    for name, shape in (("x", x.shape), ("k", weight.shape), ("y", call.out.shape)):
        sizes |= dict(zip(spots[name], shape[-places:]))
    own = [(b,) for b in batch]
    terms = [
        (x, [*own, ("g", "i"), *((s,) for s in spots["x"])]),
        (weight, [("g", "i"), ("o",), *((s,) for s in spots["k"])]),
        (call.out, [*own, ("g", "o"), *((s,) for s in spots["y"])]),
    ]
    if bias is not None:
        terms.insert(2, (bias, [("g", "o")]))
    return [call.terms(terms, sizes, pins=[*spots["x"], *spots["k"], *spots["y"]])]


@rule("aten.im2col", "aten.col2im", kind="unfolding")
def unfold_windows(call: Call) -> list[Equation]:
    """``b c x! y! -> b (c k!) n!``, and back: a row for each channel and place in the window, a column a window."""
    x, name = call.tensors[0], plain_name(call.node.op)
    image, columns = (x, call.out) if name == "im2col" else (call.out, x)
    batch = ["b"] if len(columns.shape) == 3 else []
    channels = image.shape[len(batch)]
    sizes = {"b": columns.shape[0], "c": channels, "k": columns.shape[-2] // channels, "n": columns.shape[-1]}
    sizes |= dict(zip("xy", image.shape[-2:]))
    own: list[AxisExpr] = [(b,) for b in batch]
    terms = [(image, [*own, ("c",), ("x",), ("y",)]), (columns, [*own, ("c", "k"), ("n",)])]
    return [call.terms(terms if name == "im2col" else terms[::-1], sizes, pins=["k", "n", "x", "y"])]


@rule("aten.linalg_solve_triangular", kind="contraction")
def solve_triangular(call: Call) -> list[Equation]:
    """``... i! j!, ... j! n -> ... i! n``: unknowns are eliminated in their order, right sides are apart."""
    if not call.arg(3, "left", True):
        raise NotCovered("unknowns on the left")
    return [call.write("... i! j!, ... i! n -> ... j! n", [*call.tensors, call.out])]
