"""Tensors whose entries are nodes: a model that is run on them writes down its own scalar computation graph."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final

import torch
from torch._decomp import decomposition_table
from torch.utils import _pytree
from torch.utils._mode_utils import no_dispatch

from graphmerge.certify.errors import CertifyError
from graphmerge.certify.nodes import Nodes

Handler = Callable[..., Any]
# By the name of an ATen op: what it does to nodes. ``VIEWS`` may share memory, the others give new tensors.
HANDLERS: Final[dict[str, Handler]] = {}
VIEWS: Final[dict[str, Handler]] = {}
DECOMPOSITIONS: Final = decomposition_table


class Scalars(torch.Tensor):
    """A tensor of nodes.

    ``ids`` has its shape and strides, and shares memory with the ids of the tensors that it is a view of, so that
    writing in place needs no case of its own. ``cuts`` says which slices lie between this view and what it was cut
    from; who reads the entries sees each through a node for each cut, which tells the slices of one tensor apart.
    """

    nodes: Nodes
    ids: torch.Tensor
    cuts: tuple[Hashable, ...]
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def __new__(cls, nodes: Nodes, ids: torch.Tensor, dtype: torch.dtype, cuts: tuple[Hashable, ...] = ()) -> Scalars:
        made = torch.Tensor._make_wrapper_subclass(
            cls, ids.shape, strides=ids.stride(), storage_offset=ids.storage_offset(), dtype=dtype
        )
        made.nodes, made.ids, made.cuts = nodes, ids, cuts
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Scalars({tuple(self.shape)}, {self.dtype})"

    def entries(self) -> torch.Tensor:
        """Ids of the entries as a reader sees them, same shape."""
        if not self.cuts:
            return self.ids
        seen = self.ids.flatten()
        seen = seen.clone() if seen.data_ptr() == self.ids.data_ptr() else seen
        cut = ~(self.nodes.is_constant(seen) | self.nodes.is_label(seen))  # these are the same wherever they come from
        for op in self.cuts:
            seen[cut] = self.nodes.look(op, seen[cut])
        return seen.reshape(self.ids.shape)

    def known(self) -> torch.Tensor | None:
        """The values as an ordinary tensor, if all entries are constants."""
        if not self.nodes.is_constant(self.ids).all():
            return None
        values = [self.nodes.values[n] for n in self.ids.flatten().tolist()]
        return torch.tensor(values, dtype=self.dtype).reshape(self.ids.shape)

    def decided(self) -> torch.Tensor | None:
        """The values as an ordinary tensor, if the inputs alone decide all entries."""
        if not self.nodes.is_decided(self.ids).all():
            return None
        values = [self.nodes.value(n) for n in self.ids.flatten().tolist()]
        return torch.tensor(values, dtype=self.dtype).reshape(self.ids.shape)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.replace("::", ".")
        if func._schema.is_mutable:
            return _write(name, func, args, kwargs)
        if name in VIEWS:
            return VIEWS[name](func, *args, **kwargs)
        args, kwargs = _pytree.tree_map_only(Scalars, _as_constant, (args, kwargs))
        if not any(isinstance(a, Scalars) for a in _pytree.tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        if name in HANDLERS:
            return HANDLERS[name](func, *args, **kwargs)
        if func in DECOMPOSITIONS:
            return DECOMPOSITIONS[func](*args, **kwargs)
        decomposed = func.decompose(*args, **kwargs)
        if decomposed is NotImplemented:
            raise CertifyError(f"{name} cannot be unrolled into scalar operations; certify a model without it")
        return decomposed


def _as_constant(tensor: Scalars) -> torch.Tensor:
    known = tensor.known()
    return tensor if known is None else known


def _write(name: str, func: Any, args: Any, kwargs: Any) -> Any:
    """An op in place: the functional op, and its result copied into the ids of what it writes."""
    if torch.Tag.inplace_view in func.tags and isinstance(args[0], Scalars):
        return _turn(func, *args, **kwargs)
    packet = getattr(torch.ops.aten, name.removeprefix("aten.").removesuffix("_"), None)
    functional = getattr(packet, func._overloadname, None)
    if functional is None or not name.endswith("_"):
        raise CertifyError(f"{name} writes into a tensor in a way that cannot be unrolled; write the model without it")
    target = args[0]
    if not isinstance(target, Scalars):
        raise CertifyError(f"{name} writes activations into a constant tensor, which cannot be unrolled")
    made = functional(*args, **kwargs)
    if name.removesuffix("_") in VIEWS:
        target.ids = made.ids
    else:
        target.ids.copy_(ids_of(target.nodes, made))
    return target


def _turn(func: Any, target: Scalars, *args: Any, **kwargs: Any) -> Scalars:
    """Another shape in place: of the tensor, and of its ids."""
    target.ids = target.ids.view(target.ids.shape)
    func(target.ids, *args, **kwargs)
    with no_dispatch():
        func(target, *args, **kwargs)
    return target


def unrolls(names: Iterable[str], table: dict[str, Handler] = HANDLERS) -> Callable[[Handler], Handler]:
    """Register a handler, ``handler(func, *args, **kwargs)``, for ATen ops; each name at most once."""

    def register(handler: Handler) -> Handler:
        for name in names:
            if f"aten.{name}" in HANDLERS or f"aten.{name}" in VIEWS:
                raise ValueError(f"aten.{name} has a handler already")
            table[f"aten.{name}"] = handler
        return handler

    return register


def nodes_of(*values: Any) -> Nodes:
    """The graph that these arguments are written into."""
    return next(v.nodes for v in _pytree.tree_leaves(values) if isinstance(v, Scalars))


def ids_of(nodes: Nodes, value: Any) -> torch.Tensor:
    """Ids of a tensor's entries, of a constant tensor's or of a number's."""
    if isinstance(value, Scalars):
        return value.entries()
    return nodes.constants(value if isinstance(value, torch.Tensor) else torch.tensor(value))


def tensor_of(nodes: Nodes, ids: Sequence[int] | torch.Tensor, shaped: torch.Tensor) -> Scalars:
    """The nodes ``ids`` in the shape and dtype of another tensor."""
    return Scalars(nodes, torch.as_tensor(ids, dtype=torch.int64).reshape(shaped.shape), shaped.dtype)


def like(func: Any, *args: Any, **kwargs: Any) -> Any:
    """What ``func`` would return: tensors on the meta device, with its shape and dtype."""
    args, kwargs = _pytree.tree_map_only(
        torch.Tensor, lambda t: torch.empty(t.shape, dtype=t.dtype, device="meta"), (args, kwargs)
    )
    return func(*args, **{k: v for k, v in kwargs.items() if k not in ("device", "pin_memory")})


def decides(result: torch.Tensor) -> bool:
    """Truth values and whole numbers may decide what is computed."""
    return not (result.is_floating_point() or result.is_complex())
