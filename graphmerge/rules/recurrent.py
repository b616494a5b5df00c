"""Recurrent layers and cells: gates are told apart, hidden units move together through all of a layer's matrices."""

from __future__ import annotations

from graphmerge.algebra import Equation, Window
from graphmerge.algebra.equation import AxisExpr
from graphmerge.rules.registry import Call, NotCovered, Ref, rule

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
Terms = list[tuple[Ref, list[AxisExpr]]]


@rule(*(f"aten.{name}_cell" for name in GATES), kind="recurrence")
def cell(call: Call) -> list[Equation]:
    """``b i, b k, (g! h) i, (g! h) k, (g! h), (g! h) -> b h``.

    A GRU's state is added up, so that its k is h; an LSTM has a second state, of letter h.
    """
    x, *rest = call.tensors
    name = call.node.op.split(".")[1].removesuffix("_cell")
    states, weights = (rest[:2], rest[2:]) if name == "lstm" else (rest[:1], rest[1:])
    lead = [f"b{d}" for d in range(len(x.shape) - 1)]
    own: list[AxisExpr] = [(b,) for b in lead]
    hidden, k = states[0].shape[-1], "h" if name == "gru" else "k"
    sizes = dict(zip(lead, x.shape)) | {"i": x.shape[-1], "h": hidden, "k": hidden, "g": GATES[name]}
    terms: Terms = [(x, [*own, ("i",)]), (states[0], [*own, (k,)])]
    terms += [(s, [*own, ("h",)]) for s in (*states[1:], *call.node.outputs)]
    terms += _matrices(weights, [("i",)], "h", k)
    return [call.terms(terms, sizes, pins=["g"])]


@rule(*(f"aten.{name}" for name in GATES), kind="recurrence")
def layers(call: Call) -> list[Equation]:
    """Cells stepped along time, which is pinned; a layer reads the hidden units of both directions of the one below."""
    name, _, overload = call.node.op.removeprefix("aten.").partition(".")
    x, states, weights = call.arg(0, "input"), call.arg(1, "hx"), call.arg(2, "params")
    has_biases, count, both = call.arg(3, "has_biases"), call.arg(4, "num_layers"), call.arg(7, "bidirectional")
    if overload != "input" or len(x.shape) != 3 or (call.arg(6, "train") and call.arg(5, "dropout")):
        raise NotCovered("packed or unbatched input, or dropout")
    ways, each = 2 if both else 1, 4 if has_biases else 2
    if len(weights) != each * ways * count:
        raise NotCovered("projections of the hidden state")
    states = states if isinstance(states, tuple) else (states,)
    hidden = states[0].shape[-1]
    order: list[AxisExpr] = [("b",), ("t",)] if call.arg(8, "batch_first") else [("t",), ("b",)]
    sizes = {a[0]: n for a, n in zip(order, x.shape) if isinstance(a[0], str)} | {"i": x.shape[-1], "g": GATES[name]}
    terms: Terms = [(x, [*order, ("i",)])]
    below: list[AxisExpr] = [("i",)]
    for layer in range(count):
        units = [f"h{layer * ways + way}" for way in range(ways)]
        for number, unit in enumerate(units, start=layer * ways):
            sizes |= {unit: hidden, f"s{number}": 1}
            terms += _matrices(weights[each * number : each * (number + 1)], below, unit, unit)
            row: AxisExpr = (Window(f"s{number}", number, count * ways),) if count * ways > 1 else ()
            terms += [(s, [row, ("b",), (unit,)]) for s in (*states, *call.node.outputs[1:])]
        below = [(Window(u, k * hidden, ways * hidden),) if both else (u,) for k, u in enumerate(units)]
    terms += [(call.out, [*order, axis]) for axis in below]
    return [call.terms(terms, sizes, pins=["g", "t"])]


def _matrices(weights: list[Ref] | tuple[Ref, ...], inputs: list[AxisExpr], unit: str, state: str) -> Terms:
    """``(g h) i`` for each part of the input, ``(g h) k`` for the state, and the biases ``(g h)``."""
    rows: AxisExpr = ("g", unit)
    first, second, *biases = weights
    return [*((first, [rows, part]) for part in inputs), (second, [rows, (state,)]), *((b, [rows]) for b in biases)]
