"""Axes along which a tensor was spread out from one unit: its entries cannot differ along them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from graphmerge.trace.functional import op_name

# they spread entries out along axes
SPREAD_OPS = ("expand", "expand_as", "broadcast_to")
# only the shape of their argument counts
SHAPE_OPS = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
# they leave every entry at its place
KEEPING_OPS = ("alias", "bitwise_not", "clone", "contiguous", "detach", "logical_not", "to", "_to_copy")


def spread_axes(node: torch.fx.Node, alike: Callable[[torch.fx.Node], tuple[int, ...]]) -> tuple[int, ...]:
    """Axes of an expanded tensor that its argument has not, or has with one unit; ops that keep entries keep them."""
    source, value = node.args[0] if node.args else None, node.meta.get("val")
    if node.op != "call_function" or not isinstance(source, torch.fx.Node) or not isinstance(value, torch.Tensor):
        return ()
    if op_name(node) in KEEPING_OPS:
        return alike(source)
    if op_name(node) not in SPREAD_OPS:
        return ()
    before = source.meta["val"].shape
    new = value.dim() - len(before)
    spread = [d for d, n in enumerate(value.shape) if d < new or before[d - new] < n]
    return tuple(sorted({*spread, *(d + new for d in alike(source))}))


def is_given(node: torch.fx.Node) -> bool:
    """Do its entries depend on an input, a parameter or a buffer?"""
    seen: set[torch.fx.Node] = set()
    left = [node]
    while left:
        node = left.pop()
        if node.op == "placeholder":
            return True
        if node not in seen and op_name(node) not in SHAPE_OPS:
            seen.add(node)
            left += node.all_input_nodes
    return False
