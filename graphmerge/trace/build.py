"""torch.fx graph -> Program: constants folded, in-place ops made functional, dead code kept only for its ties."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from graphmerge.trace.capture import NEW_VALUE, state_of
from graphmerge.trace.functional import functional, op_name, opaque_write
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.moving import moving_tensors
from graphmerge.trace.program import Node, Program, Ref, TensorInfo
from graphmerge.trace.repeat import repeat_spread
from graphmerge.trace.spread import SHAPE_OPS, spread_axes

# switches of autograd and autocast: they compute nothing
SWITCHES = ("_enter_autocast", "_exit_autocast", "_set_grad_enabled", "_enter_inference_mode", "_exit_inference_mode")
# zero if an argument is zero
PRODUCT_OPS = ("bmm", "einsum", "linear", "matmul", "mm", "mul")
EMPTY_OPS = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted")
WRITE = "graphmerge.opaque_write.default"  # no rule: what it touches is pinned
RANDOM_OPS = ("rand", "randn", "bernoulli", "multinomial", "normal", "randint", "randperm", "uniform", "exponential")


def build(
    model: torch.nn.Module,
    graph: torch.fx.GraphModule,
    names: dict[str, str],
    example: Inputs,
    notes: list[str],
) -> Program:
    """Everything that depends on no parameter and no input is evaluated on the CPU and becomes a constant."""
    return _Builder(model, graph, names, example, notes).program


class _Builder:
    def __init__(
        self,
        model: torch.nn.Module,
        graph: torch.fx.GraphModule,
        names: dict[str, str],
        example: Inputs,
        notes: list[str],
    ) -> None:
        self.state = state_of(model)
        self.moving = moving_tensors(model)
        self.values: dict[torch.fx.Node, Any] = {}  # constants
        self.spread: dict[torch.fx.Node, tuple[int, ...]] = {}
        holders = {n.name: names[n.name] for n in graph.graph.nodes if n.op == "placeholder"}
        self.program = Program({}, [], (), {}, graph, holders, example, list(notes))
        plain, written = functional(graph)
        self.graph = repeat_spread(plain)
        named = {node.name: node for node in self.graph.graph.nodes}
        self.written = {holder: named[node.name] for holder, node in written.items()}
        self.assigned = {n.removeprefix(NEW_VALUE) for n in names.values() if n.startswith(NEW_VALUE)}
        _rename_clashes(self.graph.graph, self.state)
        for node in self.graph.graph.nodes:
            getattr(self, f"_{node.op}")(node, names)

    # -- one method for each kind of fx node ---------------------------------------------------------------------

    def _placeholder(self, node: torch.fx.Node, names: dict[str, str]) -> None:
        key, shape = names[node.name], tuple(node.meta["val"].shape)
        if key.startswith("input:"):
            self.program.inputs += (key,)
            self._tensor(key, shape, "activation")
        elif node.name in self.written or key in self.assigned:
            op = self.written.get(node.name)
            self.program.written[key] = "an assignment" if op is None else str(op.target)
            self.program.notes.append(f"the forward pass writes {key}: pinned")
            self._tensor(key, shape, self.moving.get(key, "buffer"))
        elif key in self.moving:
            self._tensor(key, shape, self.moving[key])
        elif self.state[key].is_meta:  # a table without values: as good as an input
            self.program.inputs += (key,)
            self.program.notes.append(f"buffer {key} is on the meta device, without values: pinned")
            self._tensor(key, shape, "activation")
        else:
            self.values[node] = self.state[key].detach()
            self._tensor(key, shape, "constant", self.values[node])
        node.meta["tensor"] = key

    def _get_attr(self, node: torch.fx.Node, _: dict[str, str]) -> None:
        value = getattr(self.graph, str(node.target))
        self.values[node] = value
        node.meta["tensor"] = node.name
        self._tensor(node.name, tuple(value.shape), "constant", value)

    def _call_function(self, node: torch.fx.Node, _: dict[str, str]) -> None:
        if node.target is operator.getitem:
            self._getitem(node)
            return
        if getattr(node.target, "__name__", "") in SWITCHES:
            return
        if op_name(node) in EMPTY_OPS:  # what was never written means nothing
            self._fold_zero(node)
            return
        if all(n in self.values for n in node.all_input_nodes) and not self._is_random(node):
            self._fold(node)
            return
        if self._is_nothing(node):
            self._spread_out(node, _bias(node))
            return
        if (chosen := self._choice(node)) is not None:
            self._spread_out(node, chosen)
            return
        if op_name(node) in SHAPE_OPS:
            self._fold_shape(node)
            return
        module, source = node.meta.get("graphmerge", ("", ""))
        outputs = self._outputs(node)
        name = str(node.target) if node.target is not opaque_write else WRITE
        args = tuple(self._plain(a) for a in node.args)
        kwargs = {k: self._plain(v) for k, v in node.kwargs.items()}
        self.program.nodes.append(Node(node.name, name, args, kwargs, outputs, module, source))
        self.program.decided |= {self._ref(n).name: name for n in _deciding(node) if n not in self.values}

    def _output(self, node: torch.fx.Node, names: dict[str, str]) -> None:
        results = node.args[0]
        assert isinstance(results, (list, tuple))
        for i, result in enumerate(results):
            assert isinstance(result, torch.fx.Node)
            self.program.outputs[names[f"output:{i}"]] = self._ref(result).name
        for holder, result in self.written.items():
            self.program.outputs[NEW_VALUE + names[holder]] = self._ref(result).name

    def _call_module(self, node: torch.fx.Node, _: dict[str, str]) -> None:
        raise AssertionError(f"a traced graph has no module calls: {node}")

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _tensor(
        self, name: str, shape: tuple[int, ...], kind: str, value: torch.Tensor | None = None, place: str = ""
    ) -> None:
        array = None if value is None else to_numpy(value)
        self.program.tensors[name] = TensorInfo(name, shape, kind, array, place)

    def _is_random(self, node: torch.fx.Node) -> bool:
        return op_name(node).removesuffix("_").removesuffix("_like") in RANDOM_OPS

    def _is_zero(self, node: torch.fx.Node) -> bool:
        value = self.values.get(node)
        return isinstance(value, torch.Tensor) and not value.is_meta and not bool(value.any())

    def _is_nothing(self, node: torch.fx.Node) -> bool:
        """Is it a product of which one factor is zero?"""
        bias = _bias(node)
        return op_name(node) in PRODUCT_OPS and any(self._is_zero(n) for n in node.all_input_nodes if n is not bias)

    def _choice(self, node: torch.fx.Node) -> torch.fx.Node | None:
        """What ``where`` takes at every place, if a constant decides that it is the same of its two tensors."""
        if op_name(node) != "where" or len(node.args) != 3:
            return None
        mask = self.values.get(node.args[0])  # type: ignore[arg-type]
        if not isinstance(mask, torch.Tensor) or mask.numel() == 0 or bool(mask.any()) != bool(mask.all()):
            return None
        chosen = node.args[1 if bool(mask.any()) else 2]
        return chosen if isinstance(chosen, torch.fx.Node) else None

    def _spread_out(self, node: torch.fx.Node, source: torch.fx.Node | None) -> None:
        """The result has the entries of ``source`` at every place; zeros without it."""
        shape = tuple(node.meta["val"].shape)
        if source is None or self._is_zero(source):
            self._fold_zero(node)
            return
        if source in self.values:
            self.values[node] = self.values[source].expand(shape)
            self._constant(node)
            return
        place = node.meta.get("graphmerge", ("", ""))
        args = (self._ref(source), shape)
        self.program.nodes.append(Node(node.name, "aten.expand.default", args, {}, self._outputs(node), *place))

    def _outputs(self, node: torch.fx.Node) -> tuple[Ref, ...]:
        value = node.meta.get("val")
        if isinstance(value, (list, tuple)):
            refs = []
            for k, item in enumerate(value):
                shape = tuple(item.shape) if isinstance(item, torch.Tensor) else ()
                refs.append(Ref(f"{node.name}.{k}", shape))
        else:
            shape = tuple(value.shape) if isinstance(value, torch.Tensor) else ()
            refs = [Ref(node.name, shape)]
            node.meta["tensor"] = node.name
        for ref in refs:
            self._tensor(ref.name, ref.shape, "activation")
        return tuple(refs)

    def _getitem(self, node: torch.fx.Node) -> None:
        source, index = node.args
        assert isinstance(source, torch.fx.Node)
        if source in self.values:
            self.values[node] = self.values[source][index]
            self._constant(node)
        else:
            node.meta["tensor"] = f"{source.name}.{index}"

    def _ref(self, node: torch.fx.Node) -> Ref:
        name = node.meta["tensor"]
        value = node.meta.get("val")
        dtype, strides = (value.dtype, value.stride()) if isinstance(value, torch.Tensor) else (None, None)
        return Ref(name, self.program.tensors[name].shape, dtype, self._alike(node), strides)

    def _alike(self, node: torch.fx.Node) -> tuple[int, ...]:
        """Axes along which a tensor was spread out from one unit."""
        if node not in self.spread:
            self.spread[node] = spread_axes(node, self._alike)
        return self.spread[node]

    def _plain(self, value: Any) -> Any:
        if isinstance(value, torch.fx.Node):
            return self._ref(value)
        if isinstance(value, (list, tuple)):
            return tuple(self._plain(v) for v in value)
        return value

    def _fold(self, node: torch.fx.Node) -> None:
        def value(argument: torch.fx.Node) -> Any:
            held = self.values[argument]
            return held.cpu() if isinstance(held, torch.Tensor) and not held.is_meta else held

        args = torch.fx.map_arg(node.args, value)
        kwargs = dict(torch.fx.map_arg(dict(node.kwargs), value))
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.is_mutable:  # never write into the model's own buffers
            args = tuple(a.clone() if isinstance(a, torch.Tensor) else a for a in args)
        assert callable(node.target)
        with torch.no_grad():
            self.values[node] = node.target(*args, **kwargs)
        self._constant(node)

    def _fold_shape(self, node: torch.fx.Node) -> None:
        """``zeros_like(x)``: the entries of x do not matter."""
        source, like = node.args[0], node.meta["val"]
        assert isinstance(source, torch.fx.Node)
        assert callable(node.target)
        kwargs = dict(node.kwargs) | {"device": torch.device("cpu")}
        stand_in = torch.zeros(source.meta["val"].shape, dtype=source.meta["val"].dtype)
        self.values[node] = node.target(stand_in, *node.args[1:], **kwargs).to(like.dtype)
        self._constant(node)

    def _fold_zero(self, node: torch.fx.Node) -> None:
        self.values[node] = torch.zeros(node.meta["val"].shape, dtype=node.meta["val"].dtype)
        self._constant(node)

    def _constant(self, node: torch.fx.Node) -> None:
        value = self.values[node]
        if isinstance(value, torch.Tensor):
            node.meta["tensor"] = node.name
            module, source = node.meta.get("graphmerge", ("", ""))
            self._tensor(node.name, tuple(value.shape), "constant", value, " ".join(filter(None, (module, source))))


def _bias(node: torch.fx.Node) -> torch.fx.Node | None:
    """What a linear map adds."""
    bias = node.args[2] if op_name(node) == "linear" and len(node.args) > 2 else None
    return bias if isinstance(bias, torch.fx.Node) else None


def _rename_clashes(graph: torch.fx.Graph, state: Iterable[str]) -> None:
    """No activation may bear the name of a parameter: ``mean`` may be a buffer, ``split.0`` an entry of a list."""
    taken = {".".join(parts[:k]) for key in state for parts in [key.split(".")] for k in range(1, len(parts) + 1)}
    for node in graph.nodes:
        while node.op != "placeholder" and node.name in taken:
            node._rename(f"{node.name}_op")


def _deciding(node: torch.fx.Node) -> list[torch.fx.Node]:
    """Arguments whose values Python code saw (``if x.sum() > 0``), or which decided the shape of the result."""
    tags = getattr(node.target, "tags", ())
    if torch.Tag.data_dependent_output in tags:
        return node.all_input_nodes
    if torch.Tag.dynamic_output_shape not in tags:
        return []
    if node.target is torch.ops.aten.one_hot.default and any(isinstance(a, int) and a > 0 for a in node.args):
        return []  # how many classes there are is given
    masks = [n for n in node.all_input_nodes if n.meta["val"].dtype == torch.bool]
    return masks if node.target is torch.ops.aten.index.Tensor else masks or node.all_input_nodes


def to_numpy(value: torch.Tensor) -> np.ndarray:
    value = value.detach().cpu()
    if value.dtype in (torch.bfloat16, torch.float16):
        value = value.float()
    return value.resolve_conj().resolve_neg().numpy()
