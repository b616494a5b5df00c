"""A first certificate of completeness: how many permutations of a tiny model's parameters leave its function alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from graphmerge.certify.coloured import Coloured, colour, log_order, orbits
from graphmerge.certify.nodes import LIMIT
from graphmerge.certify.unroll import unroll


@dataclass(frozen=True)
class Count:
    """Automorphisms of a scalar computation graph.

    Attributes:
        log_order: natural log of the number of those that leave every slice of a tensor in place: the axis
            permutations, to be compared with ``Symmetry.log_order()``.
        slices_log_order: natural log of how many times more there are if whole slices of one tensor that play the same
            role (the branches of a bilinear gate from one projection) may trade places as well.
        slices: the tensors in which they do.
        nodes: vertices of the counted graph.
        edges: its edges.
        seconds: what it took.
        graph: the counted graph.
        tensors: for every parameter the nodes of its entries, in its shape; aliases have the same.
    """

    log_order: float
    slices_log_order: float
    slices: tuple[str, ...]
    nodes: int
    edges: int
    seconds: float
    graph: Coloured = field(repr=False, compare=False)
    tensors: Mapping[str, torch.Tensor] = field(repr=False, compare=False)


def count(
    model: torch.nn.Module,
    example_inputs: Any,
    outputs: tuple[str, ...] | None = ("logits",),
    limit: int = LIMIT,
    slices: bool = True,
) -> Count:
    """Count exactly the permutations of parameter entries that leave a model's scalar computation graph unchanged.

    The forward pass is unrolled into one node for each scalar operation, equal ones shared. Inputs, constants, outputs
    and embedding rows are fixed, entries keep to their tensor, arguments to their place where it matters; sums written
    one after the other are not reassociated. BLISS counts the automorphisms. Nothing of the derivation is used. Made
    for tiny models: hidden size 4, two heads, two positions give some 2,000 nodes.

    Args:
        model: any module, with eager attention. The values of its parameters are never read.
        example_inputs: a dict for ``model(**inputs)``, a tuple for ``model(*inputs)``, or one tensor.
        outputs: names of the outputs that count as the function, where the model returns names; None counts all.
        limit: how many nodes are too many.
        slices: count those that trade whole slices too; without, ``Count.slices`` stays empty, in half the time.

    Raises:
        CertifyError: an op that cannot be unrolled (control flow or routing by activations, an op unknown here), a
            model that is too large or does not run on symbols, or igraph is not installed.
    """
    start = time.perf_counter()
    told = unroll(model, example_inputs, outputs, tell_slices=True, limit=limit)
    axes = colour(told)
    order = most = log_order(axes)
    traded: tuple[str, ...] = ()
    if slices:
        whole = unroll(model, example_inputs, outputs, tell_slices=False, limit=limit)
        every = colour(whole)
        most = log_order(every)
        if most - order > 1e-9:  # parameter entries were made first, and are the same nodes in both graphs
            before, after = orbits(axes), orbits(every)
            moved = {name for n in after if before[n] != after[n] for name in whole.entries[n]}
            traded = tuple(name for name, _ in model.named_parameters() if name in moved)
    return Count(
        log_order=order,
        slices_log_order=most - order,
        slices=traded,
        nodes=len(axes.colours),
        edges=len(axes.edges),
        seconds=time.perf_counter() - start,
        graph=axes,
        tensors=told.tensors,
    )
