"""The fast tracer: one forward pass on fake or real tensors, every op noted as it is dispatched.

It sees what `make_fx` sees, above autograd and with the composite ops whole, and leaves the same graph. It is faster
since it infers the shapes of each kind of call once, as layers repeat, or infers none where values are real. What is
out of the ordinary (transforms, ops with subgraphs) it does not try: `NotRecorded` is raised, and `capture` asks
`make_fx`; so are values that Python code reads, if they are fake.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._functorch import is_functorch_wrapped_tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx._lazy_graph_module import _LazyGraphModule
from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
from torch.utils._mode_utils import no_dispatch

from graphmerge.trace.places import Place

aten = torch.ops.aten
VALUE_OPS = ("item", "is_nonzero", "_local_scalar_dense", "equal", "allclose")  # Python code sees a value


class NotRecorded(Exception):  # noqa: N818  (an outcome: the slow way is taken)
    """Something that the fast tracer does not follow."""


class ValueRead(NotRecorded):
    """Python code reads a value that is neither there nor a constant's: no tracer follows it without real tensors."""


@dataclass(frozen=True, slots=True)
class _Op:
    """What matters of an op: whether it is followed, and whether the form of its results can be remembered."""

    name: str
    reads: bool  # Python code sees a value
    turns: bool  # the form of a tensor that is known changes
    remembered: bool


def _op(func: Any) -> _Op:
    name = func.overloadpacket.__name__
    reads = name in VALUE_OPS or torch.Tag.data_dependent_output in func.tags
    turns = torch.Tag.inplace_view in func.tags and name != "detach_"
    pure = func.namespace == "aten" and not func._schema.is_mutable and func is not aten.lift_fresh.default
    return _Op(torch.fx.Graph()._target_to_str(name), reads, turns, pure)


@dataclass(frozen=True, slots=True)
class Form:
    """What shape inference sees of a tensor: ``key``; ``elem`` is a tensor on the meta device that looks the same."""

    key: tuple[Any, ...]
    elem: torch.Tensor
    device: torch.device
    plain: bool  # does the form say all?

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Form:
        shape, stride, offset, dtype = tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype
        with no_dispatch():
            elem = torch.empty_strided(shape, stride, dtype=dtype, device="meta")
        odd = (tensor.is_conj(), tensor.is_neg(), offset)
        plain = type(tensor) is FakeTensor and tensor.constant is None and not any(odd) and not tensor.requires_grad
        return cls((shape, stride, dtype, tensor.device, odd), elem, tensor.device, plain)


def _items(out: Any) -> list[Any]:
    return list(out) if isinstance(out, (list, tuple)) else []


def _forms_of(out: Any) -> Any:
    if isinstance(out, torch.Tensor):
        return Form.of(out)
    return tuple(map(_forms_of, out)) if isinstance(out, (list, tuple)) else None


def _all_plain(out: Any, forms: Any) -> bool:
    if isinstance(forms, Form):
        return forms.plain
    return type(out) in (list, tuple) and all(map(_all_plain, out, forms))


class Shapes:
    """Shape inference that remembers: by the op, the forms of its tensors and its other arguments."""

    def __init__(self) -> None:
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._results: dict[tuple[Any, ...], tuple[type | int, Any]] = {}  # key -> kind or argument, forms

    def stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """A fake tensor of the same shape, on the CPU if the tensor is on the meta device."""
        elem = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
        return FakeTensor(self.fake, elem, torch.device("cpu") if tensor.is_meta else tensor.device)

    def run(self, key: tuple[Any, ...], func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The op's result on fake tensors, and its form; shapes are inferred once for each key."""
        key = (*key, torch.get_default_dtype())
        known = self._results.get(key)
        if known is not None:
            kind, forms = known
            return args[kind] if isinstance(kind, int) else self._make(kind, forms), forms
        out = func(*args, **kwargs)
        forms = _forms_of(out)
        places = [k for k, a in enumerate(args) if a is out]
        if len(places) == 1:  # ``x.to(dtype)`` may be x itself
            self._results[key] = (places[0], forms)
        elif _all_plain(out, forms) and not any(item is a for item in _items(out) for a in args):
            self._results[key] = (type(out), forms)
        return out, forms

    def _make(self, kind: Any, forms: Any) -> Any:
        if isinstance(forms, Form):
            return FakeTensor(self.fake, forms.elem, forms.device)
        return kind(self._make(tuple, form) for form in forms)


class Recorder(ProxyTorchDispatchMode):
    """Takes the place of `make_fx`'s mode in torch's stack of modes.

    A tensor carries the node that made it: were it held here, torch's factories would return copies of it.

    Args:
        shapes: shape inference for fake tensors; None where tensors are real.
        place: says where in the model the forward pass is.

    Attributes:
        graph: the nodes so far.
        constants: real tensors that the forward pass reads without being given them.
    """

    def __init__(self, shapes: Shapes | None, place: Place) -> None:
        super().__init__(None, "real" if shapes is None else "fake", pre_dispatch=True)  # type: ignore[arg-type]
        self.shapes = shapes
        self.place = place
        self.graph = torch.fx.Graph()
        self.constants: dict[str, torch.Tensor] = {}
        self._real: dict[int, tuple[str, Form]] = {}  # constants by id
        self._ops: dict[Any, _Op] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and the guard against it costs as much as the rest

    def module(self, results: Iterable[torch.Tensor]) -> torch.fx.GraphModule:
        """The graph with these outputs."""
        self.graph.output([self._node_of(tensor)[0] for tensor in results])
        return _LazyGraphModule(self.constants, self.graph)

    def placeholder(self, name: str, tensor: torch.Tensor) -> torch.fx.Node:
        node = self.graph.create_node("placeholder", name)
        self._note(tensor, node, Form.of(tensor))
        return node

    def _note(self, tensor: torch.Tensor, node: torch.fx.Node, form: Form) -> None:
        tensor._graphmerge = (self, node, form.key)  # type: ignore[attr-defined]
        node.meta["val"] = form.elem

    def _node_of(self, tensor: torch.Tensor) -> tuple[torch.fx.Node, Any]:
        """The node whose value a tensor is, and what stands for it in a key. A real tensor is a constant.

        Raises:
            NotRecorded: a fake tensor that no op made, or a wrapped one.
        """
        made: Any = getattr(tensor, "_graphmerge", None)
        if made is not None and made[0] is self:
            return made[1], made[2]
        if type(tensor) is not torch.Tensor or is_functorch_wrapped_tensor(tensor):
            raise NotRecorded(f"a {type(tensor).__name__} that no op made")
        if id(tensor) not in self._real:
            name = f"_tensor_constant{len(self.constants)}"
            self.constants[name] = tensor
            self._real[id(tensor)] = name, Form.of(tensor)
        name, form = self._real[id(tensor)]
        node = self.graph.create_node("get_attr", name)
        node.meta |= {"graphmerge": self.place(), "val": form.elem}
        return node, ("constant", name)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.prim.device.default:
            return func(*args, **kwargs)
        op = self._ops.get(func)
        if op is None:
            op = self._ops[func] = _op(func)
        if op.turns:
            raise NotRecorded(f"{func} turns a tensor in place")
        if op.reads and self.shapes is not None:
            known = any(isinstance(a, FakeTensor) and a.constant is not None for a in args)
            raise (NotRecorded if known else ValueRead)(f"{func} depends on values")
        if func is aten.is_nonzero.default and args[0].numel() == 1:
            with self:  # as make_fx notes it
                return (args[0] != 0).item()
        key: list[Any] = [func]
        node_args = tuple([self._argument(a, key) for a in args])
        node_kwargs = {k: self._argument(v, key) for k, v in kwargs.items()}
        key += kwargs
        target, name = (func, op.name) if op.name != "lift_fresh" else (aten.lift_fresh_copy.default, "lift_fresh_copy")
        node = self.graph.create_node("call_function", target, node_args, node_kwargs, name)
        node.meta["graphmerge"] = self.place()
        if op.remembered and self.shapes is not None and not torch._C._is_any_autocast_enabled():
            out, forms = self.shapes.run(tuple(key), func, args, kwargs)
        else:
            out = func(*args, **kwargs)
            forms = _forms_of(out)
        self._results(node, out, forms)
        return out

    def _argument(self, value: Any, key: list[Any]) -> Any:
        """An argument with nodes for tensors; what it means for the form of the results is added to ``key``."""
        if isinstance(value, torch.Tensor):
            node, part = self._node_of(value)
            key.append(part)
            return node
        if isinstance(value, (list, tuple)):
            key.append(len(value))
            return type(value)(self._argument(v, key) for v in value)
        key += (type(value), value)
        return value

    def _results(self, node: torch.fx.Node, out: Any, forms: Any) -> None:
        if isinstance(forms, Form):
            self._note(out, node, forms)
        elif isinstance(out, (list, tuple)):
            node.meta["val"] = [form.elem if isinstance(form, Form) else form for form in forms]
            for k, (item, form) in enumerate(zip(out, forms)):
                part = self.graph.create_node("call_function", operator.getitem, (node, k), {}, "getitem")
                part.meta["graphmerge"] = node.meta["graphmerge"]
                self._results(part, item, form)
        elif out is not None and not isinstance(out, (bool, int, float, complex)):
            raise NotRecorded(f"{node.target} returns a {type(out).__name__}")
