"""A first certificate of completeness: how many permutations of a tiny model's parameters leave its function alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from graphmerge.certify.coloured import Coloured, colour, log_order, orbits
from graphmerge.certify.nodes import LIMIT
from graphmerge.certify.refine import log_bound
from graphmerge.certify.unroll import unroll

SAME: Final = 1e-6  # log-orders closer than this are equal: the least factor there is is ln 2


@dataclass(frozen=True)
class Drawn:
    """The scalar computation graph of a model.

    Attributes:
        graph: what outputs are computed from.
        tensors: for every parameter the nodes of its entries, in its shape; aliases have the same.
        names: for every entry the names of the tensors that it is in.
    """

    graph: Coloured = field(repr=False)
    tensors: Mapping[str, torch.Tensor] = field(repr=False)
    names: Mapping[int, tuple[str, ...]] = field(repr=False)


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
    """

    log_order: float
    slices_log_order: float
    slices: tuple[str, ...]
    nodes: int
    edges: int


def draw(
    model: torch.nn.Module,
    example_inputs: Any,
    outputs: tuple[str, ...] | None,
    limit: int = LIMIT,
    tell_slices: bool = True,
) -> Drawn:
    """Unroll a model and draw its graph; entries of one tensor are alike, of one slice if ``tell_slices``.

    Raises:
        CertifyError: as `count`.
    """
    unrolled = unroll(model, example_inputs, outputs, tell_slices=tell_slices, limit=limit)
    return Drawn(colour(unrolled), unrolled.tensors, unrolled.entries)


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
    told = draw(model, example_inputs, outputs, limit)
    order = log_order(told.graph)
    more, traded = 0.0, tuple[str, ...]()
    if slices:
        more, traded = traded_slices(told, draw(model, example_inputs, outputs, limit, tell_slices=False), order)
    return Count(order, more, traded, nodes=len(told.graph.colours), edges=len(told.graph.edges))


def traded_slices(told: Drawn, whole: Drawn, order: float) -> tuple[float, tuple[str, ...]]:
    """By how much the log-order grows from ``order`` where slices may trade places, and in which tensors they do.

    Raises:
        CertifyError: igraph is needed, and not installed.
    """
    if log_bound(whole.graph) - order < SAME:
        return 0.0, ()
    most = log_order(whole.graph)
    if most - order < SAME:
        return 0.0, ()
    before, after = orbits(told.graph), orbits(whole.graph)  # entries were made first, and are the same nodes in both
    moved = {name for n in after if before[n] != after[n] for name in whole.names[n]}
    return most - order, tuple(name for name in whole.tensors if name in moved)
