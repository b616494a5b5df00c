"""Which maps along an axis an op commutes with, beyond permutations: one word for each op.

``linear``: letters are carried along, any invertible map commutes. ``sum``: terms are added. ``product``: linear in
each term that it multiplies; a letter that is contracted pairs a map with its inverse transpose. ``gate``: the
product of two tensors entry by entry. ``quotient``: the same, by a divisor. ``total``: entries along a letter are
added up. ``odd``, ``positive``, ``square``: entry by entry, commuting with signs, with positive scales, and squaring.
``rms``, ``layer``: norms. ``attention``: as the rule says. Anything else is ``pointwise``: permutations only.
"""

from __future__ import annotations

import torch

from graphmerge.rules.aliases import plain_name
from graphmerge.trace.program import Node, Ref

_BY_KIND = {
    "identity": "linear",
    "view": "linear",
    "permute": "linear",
    "expand": "linear",
    "slice": "linear",
    "cat": "linear",
    "contraction": "product",
    "convolution": "product",
    "attention": "attention",
}
LINEAR_WINDOWS = (
    *(f"{kind}avg_pool{n}d" for kind in ("", "adaptive_", "_adaptive_") for n in (1, 2, 3)),
    *(f"upsample_{kind}" for kind in ("bicubic2d", "bilinear2d", "linear1d", "nearest1d", "nearest2d", "nearest3d")),
    "upsample_trilinear3d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa",
)  # fmt: skip
LINEAR = (
    "col2im", "cumsum", "embedding", "flip", "im2col", "index", "index_add", "index_select", "neg", "roll", "unfold",
)  # fmt: skip
_BY_OP = {
    **dict.fromkeys(("add", "sub"), "sum"),
    **dict.fromkeys(("sum", "mean"), "total"),
    **dict.fromkeys(LINEAR_WINDOWS, "linear"),
    **dict.fromkeys(LINEAR, "linear"),
    **dict.fromkeys(("tanh", "sin", "sinh", "asinh", "atan", "asin", "erf", "erfinv", "sign"), "odd"),
    **dict.fromkeys(("relu", "leaky_relu"), "positive"),
    "square": "square",
    "mul": "gate",
    "div": "quotient",
    "rms_norm": "rms",
    "_fused_rms_norm": "rms",
    "layer_norm": "layer",
    "native_layer_norm": "layer",
}
_ADDED = {"linear": 2, "conv1d": 2, "conv2d": 2, "conv3d": 2, "convolution": 2, "bilinear": 3}  # place of the bias
_ADDED |= dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 2)
_ADDED |= dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv"), 0)


def law_of(node: Node, kind: str) -> str:
    """The law of one call; nothing is taken for granted of ops of other libraries, whatever their names."""
    if not node.op.startswith("aten."):
        return "pointwise"
    name = plain_name(node.op)
    second = node.args[1] if len(node.args) > 1 else None
    if name == "pow":
        return "square" if second == 2 else "pointwise"
    law = _BY_OP.get(name, _BY_KIND.get(kind, "pointwise"))
    if _is_irregular(node, name):
        return "pointwise"
    if law in ("gate", "quotient") and not isinstance(second, Ref):
        return "linear"
    if law == "sum" and not isinstance(second, Ref):
        return "pointwise"  # a number added to every entry
    return law


def _is_irregular(node: Node, name: str) -> bool:
    """A use that falls short of its op's law: rounded, cast to integers, padded with a number, a diagonal."""
    values = (*node.args, *node.kwargs.values())
    if node.kwargs.get("rounding_mode") is not None:
        return True
    if any(isinstance(v, torch.dtype) and not (v.is_floating_point or v.is_complex) for v in values):
        return True
    if name in ("constant_pad_nd", "pad"):
        return any(isinstance(v, float | int) and v != 0 for v in values)
    if name == "einsum":
        operands = str(node.args[0]).partition("->")[0].replace(" ", "").split(",")
        return any(len(set(term.replace("...", ""))) < len(term.replace("...", "")) for term in operands)
    return False


def added_term(node: Node) -> int | None:
    """Position of the term that a product is added to, its bias."""
    return _ADDED.get(plain_name(node.op)) if node.op.startswith("aten.") else None
