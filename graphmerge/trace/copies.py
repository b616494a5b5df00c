"""A linear map of copies: what reads the same numbers several times only adds up its columns."""

from __future__ import annotations

from typing import Any

import torch

from graphmerge.trace.functional import PERMUTING, RESHAPING, op_name
from graphmerge.trace.spread import KEEPING_OPS, SPREAD_OPS, is_given

aten = torch.ops.aten


def sum_columns(graph: torch.fx.Graph) -> bool:
    """Rewrite ``(s d), o (s d) -> o`` of copies along ``s`` as ``d, o d -> o`` with the columns added up over ``s``.

    The sum says what the product does not: that the columns of one output may trade places whatever those of another
    do. Returns whether anything was rewritten.
    """
    found = False
    for node in list(graph.find_nodes(op="call_function", target=aten.linear.default)):
        x, weight = node.args[:2]
        if isinstance(x, torch.fx.Node) and isinstance(weight, torch.fx.Node) and (shape := _copies(x)):
            _rewrite(graph, node, x, weight, shape)
            found = True
    return found


def _rewrite(
    graph: torch.fx.Graph, node: torch.fx.Node, x: torch.fx.Node, weight: torch.fx.Node, shape: tuple[int, int, int]
) -> None:
    """``shape`` is the last axis of x as (outer, copies, inner)."""
    before, copies, after = shape

    def call(op: Any, *args: Any) -> torch.fx.Node:
        made = graph.call_function(op, args)
        made.meta = node.meta | {"val": op(*torch.fx.map_arg(args, lambda n: n.meta["val"]))}
        return made

    with graph.inserting_before(node):
        parts = call(aten.reshape.default, x, [*x.meta["val"].shape[:-1], before, copies, after])
        one = call(aten.select.int, parts, -2, 0)
        once = call(aten.reshape.default, one, [*x.meta["val"].shape[:-1], before * after])
        columns = call(aten.reshape.default, weight, [weight.meta["val"].shape[0], before, copies, after])
        added = call(aten.sum.dim_IntList, columns, [-2])
        whole = call(aten.reshape.default, added, [weight.meta["val"].shape[0], before * after])
    node.args = (once, whole, *node.args[2:])


def _copies(node: torch.fx.Node) -> tuple[int, int, int] | None:
    """The last axis as (outer, copies, inner), if its entries are copies that were spread out from fewer."""
    places = _places(node)
    if places is None:
        return None
    lines = places.reshape(-1, places.shape[-1])  # which entry of the source each is
    wide = lines.shape[-1]
    for inner in (n for n in range(1, wide) if wide % n == 0):
        for copies in range(wide // inner, 1, -1):
            if wide % (inner * copies) == 0:
                parts = lines.reshape(len(lines), -1, copies, inner)
                if torch.equal(parts, parts[:, :, :1].expand_as(parts)):
                    return wide // (inner * copies), copies, inner
    return None


def _places(node: torch.fx.Node) -> torch.Tensor | None:
    """Of every entry which one of the tensor before the spreading it is; None for what was not spread out."""
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], torch.fx.Node):
        return None
    name, source = op_name(node), node.args[0]
    if name in SPREAD_OPS:
        if not is_given(source):  # constants are known anyway
            return None
        shape = source.meta["val"].shape
        held = _places(source)
        held = torch.arange(shape.numel()).reshape(shape) if held is None else held
        return held.broadcast_to(node.meta["val"].shape)
    held = _places(source) if name in (*KEEPING_OPS, *RESHAPING, *PERMUTING) else None
    if held is None or name in KEEPING_OPS:
        return held
    assert callable(node.target)
    return node.target(held, *node.args[1:], **node.kwargs)
