"""In-place ops made functional: a write through a view becomes a new value of what the view looks at.

``x[..., :4] += y`` writes into a slice of x. Later readers of x, and of every other view of it, must see what was
written; so the slice is put back by a ``cat`` with the units around it, and other views are taken again from the new x.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils import _pytree

aten = torch.ops.aten
RESHAPING = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as")
PERMUTING = ("permute", "transpose", "t", "numpy_T", "mT", "movedim", "moveaxis", "swapaxes", "swapdims")
PARTING = ("split", "split_with_sizes", "chunk", "tensor_split")
# they never copy; what may copy is tried
VIEWS = frozenset((*PERMUTING, *PARTING, "alias", "as_strided", "detach", "diagonal", "expand", "expand_as", "narrow",
                   "select", "slice", "squeeze", "unbind", "unfold", "unsqueeze", "view", "view_as"))  # fmt: skip
UNCHANGING = ("dropout", "feature_dropout", "alpha_dropout")  # in eval mode they return their argument itself


def opaque_write(*_: Any) -> Any:
    """Stands for a write that cannot be followed: an op without a rule, so that all it touches is pinned."""
    raise AssertionError("never run: only the original graph is")


def functional(graph: torch.fx.GraphModule) -> tuple[torch.fx.GraphModule, dict[str, torch.fx.Node]]:
    """An equal graph in which the result of an in-place op is its only effect, and what was written into which inputs.

    Ops keep their names (``aten.add_``); a copy or a fill is replaced by the value that it writes.

    Returns:
        The graph, and for each placeholder that the forward pass writes the node of its last value.
    """
    if not any(True for node in graph.graph.nodes for _ in _write_targets(node)):
        return graph, {}
    rewrite = _Rewrite(graph)
    return torch.fx.GraphModule(graph, rewrite.graph), rewrite.written


class _Rewrite:
    def __init__(self, module: torch.fx.GraphModule) -> None:
        self.graph = torch.fx.Graph()
        self.now: dict[torch.fx.Node, torch.fx.Node] = {}  # old node -> its value at present
        self.parent: dict[torch.fx.Node, torch.fx.Node] = {}  # view -> what it looks at
        self.seen: dict[torch.fx.Node, int] = {}  # view -> version of its base when its value was taken
        self.version: dict[torch.fx.Node, int] = {}  # base -> how often it was written
        self.written: dict[str, torch.fx.Node] = {}
        self.fake = FakeTensorMode()
        for node in module.graph.nodes:
            self.now[node] = self.graph.node_copy(node, self._value)
            if node.op == "call_function":
                self._follow(node)

    def _follow(self, node: torch.fx.Node) -> None:
        targets = list(_write_targets(node))
        if not targets:
            if (parent := self._looks_at(node)) is not None:
                self.parent[node], self.seen[node] = parent, self._version(parent)
            return
        result = self._result(node, targets)
        for target in targets:
            self._write(target, result if len(targets) == 1 else self._opaque(target, self.now[node], node), node)
        if len(targets) == 1:  # what the op returns is the target itself
            self.parent[node], self.seen[node] = targets[0], self._version(targets[0])
            self.now[node] = result

    # -- values ----------------------------------------------------------------------------------------------------

    def _base(self, node: torch.fx.Node) -> torch.fx.Node:
        while node in self.parent:
            node = self.parent[node]
        return node

    def _version(self, node: torch.fx.Node) -> int:
        return self.version.get(self._base(node), 0)

    def _value(self, node: torch.fx.Node) -> torch.fx.Node:
        """The present value of an old node; a view of something written since is taken again."""
        if node in self.parent and self.seen[node] != self._version(node):
            if any(True for _ in _write_targets(node)):
                self.now[node] = self._value(self.parent[node])
            else:
                self.now[node] = self.graph.node_copy(node, self._value)
            self.seen[node] = self._version(node)
        return self.now[node]

    def _call(self, like: torch.fx.Node, target: Any, *args: Any, **kwargs: Any) -> torch.fx.Node:
        """A new node, from the place in the model that ``like`` is from."""
        node = self.graph.call_function(target, args, kwargs)
        node.meta = dict(like.meta) | {"val": self._try(target, args, kwargs)}
        return node

    def _opaque(
        self, whole: torch.fx.Node, value: torch.fx.Node, node: torch.fx.Node, places: Sequence[torch.fx.Node] = ()
    ) -> torch.fx.Node:
        """The value of ``whole`` after a write of which nothing is known but what was written, and what says where."""
        here = whole if whole.graph is self.graph else self._value(whole)
        made = self.graph.call_function(opaque_write, (here, value, *map(self._value, places)))
        made.meta = dict(node.meta) | {"val": whole.meta["val"]}
        return made

    def _try(self, target: Any, args: Any, kwargs: Any) -> Any:
        """The op on fake tensors: shape, dtype and whether memory is shared."""

        def stand_in(value: Any) -> Any:
            value = value.meta["val"] if isinstance(value, torch.fx.Node) else value
            if not isinstance(value, torch.Tensor) or getattr(value, "fake_mode", None) is self.fake:
                return value
            device = "cpu" if value.is_meta else value.device
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)

        with self.fake:
            args, kwargs = _pytree.tree_map(stand_in, (args, kwargs))
            return target(*args, **kwargs)

    def _looks_at(self, node: torch.fx.Node) -> torch.fx.Node | None:
        """What ``node`` is a view of. Ops that copy only where they must are tried, with the strides at hand."""
        source = node.args[0] if node.args else None
        if not isinstance(source, torch.fx.Node):
            return None
        if node.target is operator.getitem:  # one of several parts
            return self.parent.get(source) if isinstance(source.meta["val"], (list, tuple)) else None
        schema, before = getattr(node.target, "_schema", None), source.meta.get("val")
        if schema is None or not isinstance(before, torch.Tensor):
            return None
        if op_name(node) in VIEWS:
            return source
        if not any(a.alias_info for a in schema.arguments) and op_name(node) not in UNCHANGING:
            return None
        with self.fake:
            here = torch.empty_strided(before.shape, before.stride(), dtype=before.dtype, device="cpu")
        try:
            there = self._try(node.target, (here, *node.args[1:]), dict(node.kwargs))
        except DataDependentOutputException:  # a slice up to a number that a tensor says: a view, whatever it is
            return source
        there = there[0] if isinstance(there, (list, tuple)) else there
        return source if there.untyped_storage()._cdata == here.untyped_storage()._cdata else None

    # -- writes ------------------------------------------------------------------------------------------------------

    def _result(self, node: torch.fx.Node, targets: list[torch.fx.Node]) -> torch.fx.Node:
        """What ``node`` writes; of copies and fills, the value that is written, for the old one does not matter."""
        name, made, target = op_name(node), self.now[node], self._value(targets[0])
        like, source = target.meta["val"], made.args[1] if len(made.args) > 1 else None
        if len(targets) > 1 or not isinstance(made.meta.get("val"), torch.Tensor):
            return self._opaque(targets[0], made, node)
        if name not in ("zero_", "fill_", "copy_"):
            return made
        self.graph.erase_node(made)
        if not isinstance(source, torch.fx.Node):
            return self._call(node, aten.full_like.default, target, 0 if source is None else source)
        if source.meta["val"].dtype != like.dtype:
            source = self._call(node, aten._to_copy.default, source, dtype=like.dtype)
        return self._call(node, aten.expand.default, source, list(like.shape))

    def _write(self, target: torch.fx.Node, result: torch.fx.Node, node: torch.fx.Node) -> None:
        """``result`` is the new value of ``target``, and so of all that shares its memory."""
        values, place = {target: result}, target
        while place in self.parent:
            parent = self.parent[place]
            values[parent] = self._put_back(place, parent, values[place], node)
            place = parent
        self.version[place] = self.version.get(place, 0) + 1
        for old, new in values.items():
            self.now[old], self.seen[old] = new, self.version[place]
        if place.op == "placeholder":
            self.written[place.name] = values[place]

    def _put_back(
        self, view: torch.fx.Node, parent: torch.fx.Node, value: torch.fx.Node, node: torch.fx.Node
    ) -> torch.fx.Node:
        """The parent's value in which what ``view`` shows is ``value``."""
        whole, name = self._value(parent), op_name(view)
        shape, dtype = list(whole.meta["val"].shape), whole.meta["val"].dtype
        if any(True for _ in _write_targets(view)):
            return value
        if places := view.all_input_nodes[1:]:  # tensors say which part it is
            return self._opaque(whole, value, node, places)
        if name in PERMUTING:
            order = _order(view, len(shape))
            return self._call(node, aten.permute.default, value, [order.index(d) for d in range(len(order))])
        if (window := _window(view)) is not None:
            return self._put_window(whole, value, node, *window)
        if name in ("view_as_real", "view_as_complex"):
            other = aten.view_as_complex if name == "view_as_real" else aten.view_as_real
            return self._call(node, other.default, value)
        if value.meta["val"].dtype != dtype:
            return self._opaque(whole, value, node)
        if name in RESHAPING:
            return self._call(node, aten.reshape.default, value, shape)
        return (
            value
            if list(value.meta["val"].shape) == shape and name != "as_strided"
            else self._opaque(whole, value, node)
        )

    def _put_window(
        self, whole: torch.fx.Node, value: torch.fx.Node, node: torch.fx.Node, dim: int, start: int, step: int
    ) -> torch.fx.Node:
        """``whole`` with the units ``start, start + step, ...`` of axis ``dim`` replaced."""
        shape = list(whole.meta["val"].shape)
        if len(value.meta["val"].shape) < len(shape):  # one unit was selected
            value = self._call(node, aten.unsqueeze.default, value, dim)
        length = value.meta["val"].shape[dim]
        if step > 1 and length > 1:
            if start >= step or shape[dim] != step * length:
                return self._opaque(whole, value, node)
            split = self._call(node, aten.view.default, whole, [*shape[:dim], length, step, *shape[dim + 1 :]])
            apart = self._call(node, aten.unsqueeze.default, value, dim + 1)
            joined = self._put_window(split, apart, node, dim + 1, start, 1)
            return self._call(node, aten.view.default, joined, shape)
        parts = []
        if start > 0:
            parts.append(self._call(node, aten.slice.Tensor, whole, dim, 0, start))
        parts.append(value)
        if start + length < shape[dim]:
            parts.append(self._call(node, aten.slice.Tensor, whole, dim, start + length, shape[dim]))
        return self._call(node, aten.cat.default, parts, dim) if len(parts) > 1 else value


def op_name(node: torch.fx.Node) -> str:
    """``add_`` for ``aten.add_.Tensor``."""
    return (str(node.target).split(".") + [""])[1]


def _write_targets(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    """The arguments that an op writes into."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return
    for k, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value: Any = node.args[k] if k < len(node.args) else node.kwargs.get(argument.name)
            yield from (
                v for v in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(v, torch.fx.Node)
            )


def _order(view: torch.fx.Node, rank: int) -> list[int]:
    """Of a permute or a transpose: which axis of its argument each axis is."""
    marks = torch.empty([k + 2 for k in range(rank)], device="meta")
    assert callable(view.target)
    return [n - 2 for n in view.target(marks, *view.args[1:], **view.kwargs).shape]


def _window(view: torch.fx.Node) -> tuple[int, int, int] | None:
    """(axis, start, step) of a slice, a selected unit, or one part of a split."""
    source = view.args[0]
    assert isinstance(source, torch.fx.Node)
    if view.target is operator.getitem:
        return _part(source, view.args[1])
    names = {"slice": ("dim", "start", "end", "step"), "select": ("dim", "index"), "narrow": ("dim", "start", "length")}
    if op_name(view) not in names:
        return None
    args: dict[str, Any] = dict(zip(names[op_name(view)], view.args[1:])) | dict(view.kwargs)
    shape = source.meta["val"].shape
    dim = args.get("dim", 0) % len(shape)
    if op_name(view) == "slice":
        start, _, step = slice(args.get("start"), args.get("end"), args.get("step", 1)).indices(shape[dim])
        return dim, start, step
    return dim, args.get("index", args.get("start")) % shape[dim], 1


def _part(parts: torch.fx.Node, index: Any) -> tuple[int, int, int] | None:
    """The window that one part of a split, or one unit of an unbind, is."""
    whole = parts.args[0]
    assert isinstance(whole, torch.fx.Node)
    rank, values = whole.meta["val"].dim(), parts.meta["val"]
    if op_name(parts) not in (*PARTING, "unbind"):
        return None
    place = 1 if op_name(parts) == "unbind" else 2
    dim: Any = parts.args[place] if len(parts.args) > place else parts.kwargs.get("dim", 0)
    before = index if place == 1 else sum(v.shape[dim % rank] for v in values[:index])
    return dim % rank, before, 1
