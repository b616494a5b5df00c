"""Ops that only move entries: the same op on the ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch.utils import _pytree

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.labels import gather, is_label, look_up
from graphmerge.certify.scalars import VIEWS, Scalars, ids_of, like, nodes_of, unrolls

ALL_ENTRIES: Final = (
    "_reshape_alias", "_unsafe_view", "alias", "as_strided", "channel_shuffle", "clone", "detach", "diagonal", "expand",
    "flip", "lift_fresh", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat", "roll", "squeeze", "t", "transpose",
    "unfold", "unsqueeze", "view",
)  # fmt: skip
FACTORIES: Final = (
    "empty_like", "full_like", "new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros", "ones_like",
    "zeros_like",
)  # fmt: skip
BY_ACTIVATIONS: Final = (
    "_local_scalar_dense", "bernoulli", "bincount", "bucketize", "masked_select", "multinomial", "nonzero",
    "searchsorted",
)  # fmt: skip


@unrolls(ALL_ENTRIES, VIEWS)
def move(func: Any, source: Scalars, *args: Any, **kwargs: Any) -> Scalars:
    """A view or copy of all entries."""
    return Scalars(source.nodes, func(source.ids, *args, **kwargs), source.dtype, source.cuts)


@unrolls(["select", "slice", "split", "split_with_sizes", "unbind"], VIEWS)
def cut(func: Any, source: Scalars, *args: Any, **kwargs: Any) -> Any:
    """Slices: views as well; where the graph tells slices apart, each says which units of the axis it has."""
    axis = by_name(func, args, kwargs).get("dim", 0) % source.dim()

    def piece(ids: torch.Tensor, positions: torch.Tensor) -> Scalars:
        units = tuple(positions.unique().tolist())
        told = source.nodes.tell_slices and len(units) < source.shape[axis]
        return Scalars(source.nodes, ids, source.dtype, (*source.cuts, ("cut", axis, units)) if told else source.cuts)

    pieces, positions = func(source.ids, *args, **kwargs), func(_positions(source, axis), *args, **kwargs)
    return _pytree.tree_map(piece, pieces, positions)


def by_name(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments after the first, by their names."""
    return {a.name: v for a, v in zip(func._schema.arguments[1:], args)} | kwargs


def _positions(source: torch.Tensor, axis: int) -> torch.Tensor:
    """Of every entry its position on an axis."""
    shape = [-1 if d == axis else 1 for d in range(source.dim())]
    return torch.arange(source.shape[axis]).reshape(shape).expand(source.shape)


@unrolls(["embedding"])
def embedding(func: Any, table: Any, rows: Any, *_: Any) -> Scalars:
    """Rows of a table. Which row means what is fixed from outside, so that rows are always told apart."""
    if is_label(rows):
        return look_up(table, rows, 0)
    source = fixed_places(func, table, rows)
    return _marked(source, lambda t: func(t, rows), [0])


@unrolls(["gather", "index_select"])
def choose_along(func: Any, source: Any, axis: int, units: Any, **kwargs: Any) -> Any:
    """Chosen units of one axis; a run of them is a slice."""
    if is_label(units):
        return gather(source, axis % source.dim(), units) if "gather" in str(func) else look_up(source, units, axis)
    source = fixed_places(func, source, units)
    choice = units.tolist() if units.dim() == 1 else []
    if choice and choice == list(range(choice[0], choice[-1] + 1)):
        return torch.ops.aten.slice.Tensor(source, axis, choice[0], choice[-1] + 1).clone()  # a look-up copies
    return _told(source, lambda t: func(t, axis, units, **kwargs), [axis % source.dim()])


@unrolls(["index"])
def choose(func: Any, source: Any, units: Sequence[Any]) -> Any:
    """Chosen units of some axes, each by numbers or by a mask, which may run over several axes."""
    if len(labels := [n for n, u in enumerate(units) if u is not None]) == 1 and is_label(units[labels[0]]):
        return look_up(source, units[labels[0]], labels[0])
    source = fixed_places(func, source, *units)
    axes: list[int] = []
    axis = 0
    for chosen in units:
        width = chosen.dim() if chosen is not None and chosen.dtype in (torch.bool, torch.uint8) else 1
        axes += range(axis, axis + width) if chosen is not None else ()
        axis += width
    only = units[axes[0]] if len(axes) == 1 else None
    if only is not None and only.dim() == 1 and only.dtype == torch.int64:
        return choose_along(torch.ops.aten.index_select.default, source, axes[0], only % source.shape[axes[0]])
    return _told(source, lambda t: func(t, units), axes)


def fixed_places(func: Any, source: Any, *places: Any) -> Scalars:
    """``source``, if the places do not depend on activations."""
    if any(isinstance(p, Scalars) for p in places):
        route(func)
    return source


def _told(source: Scalars, look_up: Callable[[torch.Tensor], torch.Tensor], axes: list[int]) -> Scalars:
    if not source.nodes.tell_slices:
        return Scalars(source.nodes, look_up(source.entries()), source.dtype)
    return _marked(source, look_up, axes)


def _marked(source: Scalars, look_up: Callable[[torch.Tensor], torch.Tensor], axes: list[int]) -> Scalars:
    """The entries looked up, each seen through a node that says from which units of ``axes``."""
    nodes, ids = source.nodes, look_up(source.entries())
    places = [nodes.constants(look_up(_positions(source, axis)).flatten()) for axis in axes]
    seen = ids.flatten().clone()
    told = ~(nodes.is_constant(seen) | nodes.is_label(seen))
    seen[told] = nodes.look(("at", *axes), seen[told], *(p[told] for p in places))
    return Scalars(nodes, seen.reshape(ids.shape), source.dtype)


@unrolls(BY_ACTIVATIONS)
def route(func: Any, *args: Any, **kwargs: Any) -> Any:
    """What goes where, or which op runs, depends on the numbers: those that inputs decide are known.

    Raises:
        CertifyError: they depend on parameters, or are drawn.
    """
    held = [a for a in _pytree.tree_leaves((args, kwargs)) if isinstance(a, Scalars)]
    draws = torch.Tag.nondeterministic_seeded in getattr(func, "tags", ())
    if not held or draws or any(a.decided() is None for a in held):
        raise CertifyError(f"{func} lets activations decide what is computed; such a model cannot be unrolled")
    args, kwargs = _pytree.tree_map_only(Scalars, Scalars.decided, (args, kwargs))
    return func(*args, **kwargs)


@unrolls(["cat", "stack"])
def join(func: Any, tensors: Sequence[Any], dim: int = 0) -> Scalars:
    """Tensors one after the other, or side by side along a new axis."""
    nodes = nodes_of(tensors)
    return Scalars(nodes, func([ids_of(nodes, t) for t in tensors], dim), like(func, tensors, dim).dtype)


@unrolls(["constant_pad_nd"])
def pad(func: Any, source: Scalars, widths: Sequence[int], value: float = 0) -> Scalars:
    """Constants around the entries."""
    return Scalars(source.nodes, func(source.entries(), widths, source.nodes.constant(value)), source.dtype)


@unrolls(["tril", "triu"])
def triangle(func: Any, source: Scalars, diagonal: int = 0) -> Scalars:
    """The entries on one side of a diagonal, 0 on the other."""
    keep = func(torch.ones(source.shape), diagonal).bool()
    return Scalars(source.nodes, torch.where(keep, source.entries(), source.nodes.constant(0)), source.dtype)


@unrolls(FACTORIES, VIEWS)
def factory(func: Any, source: Scalars, *args: Any, **kwargs: Any) -> Scalars:
    """A new tensor of constants, which activations may be written into."""
    made = func(torch.zeros(source.shape, dtype=source.dtype), *args, **kwargs)
    return Scalars(source.nodes, source.nodes.constants(made), made.dtype)


@unrolls(["copy", "fill"])
def overwrite(func: Any, target: torch.Tensor, source: Any, *_: Any) -> Scalars:
    """All entries anew: what writing in place comes to."""
    nodes = nodes_of(target, source)
    return Scalars(nodes, ids_of(nodes, source).expand(target.shape).clone(), target.dtype)
