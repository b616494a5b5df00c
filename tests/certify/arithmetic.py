"""What a scalar graph is worth on numbers: one scalar operation at a time, in double precision."""

from __future__ import annotations

from typing import Any

import torch

from graphmerge.certify.nodes import REDUCERS, Nodes
from graphmerge.certify.unroll import unroll


def outputs_of(model: torch.nn.Module, inputs: Any, names: tuple[str, ...], tell_slices: bool) -> torch.Tensor:
    """The outputs, one after the other, as the unrolled graph computes them from the model's weights."""
    unrolled = unroll(model, inputs, names or None, tell_slices)
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    given = {f"[1]['{k}']": v for k, v in inputs.items()} if isinstance(inputs, dict) else {"[0][0]": inputs}
    nodes = unrolled.nodes
    values: dict[int, Any] = {n: _number(v) for n, v in nodes.values.items()}
    values |= {n: _entry(name, state, given) for n, name in nodes.symbols.items()}
    for layer in nodes.layers():
        for node, row in zip(layer.ids.tolist(), layer.rows.tolist()):
            values[node] = _value(nodes, layer.family.op, row, [values[c] for c in row])
    places = {place: node for node, where in unrolled.outputs.items() for place in where}
    return torch.stack([torch.as_tensor(values[places[n]]).double() for n in range(len(places))])


def _number(constant: Any) -> torch.Tensor:
    return torch.tensor(constant, dtype=torch.complex128 if isinstance(constant, complex) else torch.float64)


def _entry(symbol: Any, state: dict[str, torch.Tensor], given: dict[str, Any]) -> torch.Tensor:
    kind, name, place = symbol if symbol[0] == "input" else ("state", *symbol)
    source = given[name] if kind == "input" else state[name].detach()
    return source.as_strided((1,), (1,), place)[0].double()


def _value(nodes: Nodes, op: Any, row: list[int], children: list[Any]) -> Any:
    if op[0] in ("cut", "at"):
        return children[0]
    if op[0] == "ranked":
        return torch.stack(children).sort(descending=op[2]).values[op[1]]
    if op == "which":
        return torch.stack([torch.as_tensor(c) for c in children]).double().argmax()
    if op[0] == "is":
        return (
            torch.stack([torch.as_tensor(c) for c in children]).sort(descending=op[3], stable=True)[1][op[2]] == op[4]
        )
    if op[0] == "sampled":
        pixel, shape, *settings = op[1:]
        image = torch.eye(shape.numel(), dtype=torch.float64)[pixel].reshape(1, 1, *shape)
        place = torch.stack(children).double().reshape(1, *[1] * len(shape), -1)
        sample = torch.ops.aten.grid_sampler_2d if len(shape) == 2 else torch.ops.aten.grid_sampler_3d
        return sample(image, place, *settings).flatten()[0]
    if op[0] == "to":
        return children[0].to(getattr(torch, op[1].removeprefix("torch.")))
    if op[0] == "place":
        return getattr(torch.stack(children), f"arg{op[1]}")()
    if op in REDUCERS:
        return torch.as_tensor(REDUCERS[op](children))
    if op == "where":
        return torch.where(children[0].bool(), children[1], children[2])
    if op in ("real", "imag"):
        return getattr(children[0].to(torch.complex128), op)
    return _elementwise(op, [nodes.values.get(c, v) for c, v in zip(row, children)], children[0])


def _elementwise(op: Any, arguments: list[Any], first: torch.Tensor) -> torch.Tensor:
    """The op itself; constants after the first argument are plain numbers, as ATen likes them."""
    name, keywords, settings = (op, (), [None] * len(arguments)) if isinstance(op, str) else op
    rest = iter([first, *arguments[1:]])
    given = [next(rest) if s is None else (None if s == "None" else s) for s in settings]
    positional = len(settings) - len(keywords)
    return getattr(torch.ops.aten, name)(*given[:positional], **dict(zip(keywords, given[positional:])))
