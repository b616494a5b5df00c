"""What spreads entries out is repeated for each of its readers: an axis that nothing filled belongs to no one.

Where a residual stream starts as copies of the embedding, whoever adds up over the copies may take them in an order of
its own, whatever the next reader does with them. In a graph with one spread tensor all its readers share one axis.
"""

from __future__ import annotations

from typing import Final

import torch

from graphmerge.trace.copies import sum_columns
from graphmerge.trace.functional import op_name
from graphmerge.trace.spread import SPREAD_OPS, is_given

MANY: Final = 1000  # new nodes in all; readers beyond them share


def repeat_spread(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """An equal graph in which every reader of a spread tensor has one of its own; the same graph where that is so.

    Ops of a single tensor that keep the number of entries (views, casts, elementwise ops) are repeated with what they
    read; a linear map of copies is written as what it comes to (`sum_columns`). The names of the nodes stay.
    """
    if not _carriers(module.graph):
        return module
    graph = torch.fx.Graph()
    copies: dict[torch.fx.Node, torch.fx.Node] = {}
    for node in module.graph.nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    summed = sum_columns(graph)
    if not summed and not any(len(node.users) > 1 for node in _carriers(graph)):
        return module
    left = MANY
    for node in reversed(_carriers(graph)):
        for reader in list(node.users)[1 : 1 + left]:
            with graph.inserting_before(reader):
                reader.replace_input_with(node, graph.node_copy(node, lambda argument: argument))
            left -= 1
    return torch.fx.GraphModule(module, graph)


def _carriers(graph: torch.fx.Graph) -> list[torch.fx.Node]:
    """Nodes whose entries are copies of fewer, in order."""
    found: dict[torch.fx.Node, None] = {}
    for node in graph.nodes:
        sources = node.all_input_nodes
        if node.op != "call_function" or len(sources) != 1 or not _is_pure(node):
            continue
        before, after = (n.meta.get("val") for n in (sources[0], node))
        if not (isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor)):
            continue
        grows = op_name(node) in SPREAD_OPS and after.numel() > before.numel() and is_given(node)
        if grows or (sources[0] in found and after.numel() == before.numel()):
            found[node] = None
    return list(found)


def _is_pure(node: torch.fx.Node) -> bool:
    """The same for the same arguments, and nothing else."""
    schema = getattr(node.target, "_schema", None)
    draws = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    return schema is not None and not schema.is_mutable and (not draws or "dropout" in op_name(node))
