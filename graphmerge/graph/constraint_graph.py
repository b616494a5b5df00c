"""The constraint graph: tensors as nodes, the ops' equations as edges; the groups follow from it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import networkx as nx
import torch

from graphmerge.algebra import Equation, Solution, solve
from graphmerge.errors import GraphMergeWarning
from graphmerge.graph.explain import explain
from graphmerge.graph.kinds import find_kinds
from graphmerge.graph.layout import groups_of, layout_of, pins_of, rotary_of
from graphmerge.graph.names import name_leaves
from graphmerge.graph.roles import Flow
from graphmerge.graph.rotary import RotaryLeaf, find_rotary
from graphmerge.graph.storage import canonical_names, storage_equations
from graphmerge.graph.system import COPY, Probed, Unknown, assemble, original
from graphmerge.graph.unread import unread_leaves
from graphmerge.symmetry import Symmetry
from graphmerge.trace.capture import state_of
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.program import Program
from graphmerge.trace.sizes import trace_all


class ConstraintGraph:
    """Everything that tracing found out about one model.

    Attributes:
        model: class name of the model.
        programs: the traces, one for each sequence length.
        unknown: calls that no rule describes and that running did not explain; everything that they touch is pinned.
        probed: calls that no rule describes whose equations were found by running their ops.
        notes: what the report should say.
    """

    def __init__(self, model: torch.nn.Module, programs: list[Program], strict: bool = False) -> None:
        self.model = type(model).__name__
        self.programs = programs
        self.keys = canonical_names(model)
        assembled = assemble(programs, strict)
        self.system = assembled.system
        state = state_of(model)
        moving = {n: state[n] for n, t in self.system.tensors.items() if t.kind in ("parameter", "buffer")}
        self.system.equations += storage_equations(moving)
        self.unknown: tuple[Unknown, ...] = tuple(assembled.unknown)
        self.probed: tuple[Probed, ...] = tuple(assembled.probed)
        self.notes: tuple[str, ...] = tuple(assembled.notes) + tuple(str(u) for u in self.unknown)

    @cached_property
    def flow(self) -> Flow:
        """The solution, with its equations by the activations that they read and write."""
        flow = Flow(solve(self.system))
        leaves = flow.solution.leaves
        for name in unread_leaves(flow):
            leaves[name] = replace(leaves[name], pinned="unread: no output depends on it")
        return flow

    @property
    def solution(self) -> Solution:
        """Leaves and boxes of all parameters and buffers."""
        return self.flow.solution

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of every group, and of every pinned leaf that a group is over, by leaf."""
        turned = {leaf.leaves[0] for leaf in self.rotary}
        return {leaf: name for leaf, name in self.all_names.items() if leaf not in turned}

    @cached_property
    def rotary(self) -> list[RotaryLeaf]:
        """Queries and keys that a rotary table pins, on which complex numbers may act."""
        bases = {base for leaf in self.solution.leaves.values() if leaf.pinned is None for base in leaf.over}
        return [leaf for leaf in find_rotary(self.flow, self.programs) if not bases & set(leaf.leaves)]

    @cached_property
    def all_names(self) -> dict[int, str]:
        """The same, with what rotary tables leave."""
        return name_leaves(self.flow, dict.fromkeys(self.keys.values()), [leaf.leaves[0] for leaf in self.rotary])

    @cached_property
    def reasons(self) -> dict[int, str]:
        """Why each pinned leaf is pinned, with the places in the model where constants are made."""
        places = {t.name: t.place for p in reversed(self.programs) for t in p.tensors.values()}

        def placed(found: re.Match[str]) -> str:
            name = original(found[1]).rpartition(":")[2]
            if not places.get(name):
                return f"constant {name}"
            return f"constant {re.sub(r'_[0-9]+$', '', name)} ({places[name]})"  # alike in all layers

        pinned = {n: str(leaf.pinned) for n, leaf in self.solution.leaves.items() if leaf.pinned is not None}
        return {leaf: re.sub(r"constant (\S+)", placed, reason) for leaf, reason in pinned.items()}

    @cached_property
    def _symmetry(self) -> Symmetry:
        kinds = find_kinds(self.solution, self.flow)
        layout = layout_of(self.solution, self.keys, self.names, kinds)
        shapes = {key: self.system.tensors[self.keys[key]].shape for key in layout}
        return Symmetry(
            groups=groups_of(self.solution, layout, self.names, kinds),
            pinned=pins_of(self.solution, self.keys, self.names, self.reasons),
            layout=layout,
            shapes=shapes,
            model=self.model,
            notes=self.notes,
            rotary=tuple(
                rotary_of(self.solution, self.keys, self.names, leaf, self.all_names[leaf.leaves[0]])
                for leaf in self.rotary
            ),
        )

    def symmetry(self) -> Symmetry:
        """All permutations that leave the function unchanged (design: every freedom that the rules can see)."""
        return self._symmetry

    @cached_property
    def nx(self) -> nx.MultiDiGraph:
        """Nodes are tensor names with ``kind``, ``shape``; an edge for every tensor that an op reads and one it writes.

        Edges carry ``op``, ``equation``, ``kind``, ``module``, ``source`` and ``reason`` (pins, which are loops on the
        tensor they pin). Tensors of the second trace are left out: they say the same at another length.
        """
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(model=self.model)
        for tensor in self.system.tensors.values():
            if tensor.kind != "virtual" and COPY not in tensor.name and not tensor.name.startswith("trace"):
                graph.add_node(tensor.name, kind=tensor.kind, shape=tensor.shape)
        for key, tensor in self.keys.items():
            if key != tensor and tensor in graph:
                shape = self.system.tensors[tensor].shape
                graph.add_node(key, kind=graph.nodes[tensor]["kind"], shape=shape)
                graph.add_edge(tensor, key, op="", equation="", kind="tied parameter", module="", source="", reason="")
        flow = self.flow
        for number, eq in enumerate(self.system.equations):
            for source, target in self._ends(eq, flow.outputs[number]):
                source, target = original(source), original(target)
                if source in graph and target in graph:
                    graph.add_edge(source, target, **self._facts(eq, flow.operands(number)))
        return graph

    def _ends(self, eq: Equation, written: set[str]) -> Iterable[tuple[str, str]]:
        tensors = list(dict.fromkeys(t.tensor for t in eq.terms if t.tensor is not None))
        read = [t for t in tensors if t not in written]
        if not read or len(tensors) == 1:
            return [(t, t) for t in tensors]
        targets = sorted(written) or read[1:]
        return [(r, t) for r in read for t in targets if r != t]

    def _facts(self, eq: Equation, operands: dict[str, set[str]]) -> dict[str, Any]:
        kind = eq.origin.kind
        if kind == "elementwise" and ".add" in eq.origin.op and len(operands) == 2:
            kind = "residual add"
        elif kind == "view" and any(len(axis) > 1 for t in eq.terms for axis in t.axes):
            kind = "head split"
        elif kind == "view":
            kind = "reshape"
        return {
            "op": eq.origin.op,
            "equation": str(eq),
            "kind": kind,
            "module": eq.origin.module,
            "source": eq.origin.source,
            "reason": "; ".join(dict.fromkeys(eq.pins.values())),
        }

    def explain(self, name: str) -> str:
        """Why axes are tied, or pinned, as text: the path of ops between them.

        ``name`` is a group (``layers.0.heads``), a tensor, or an axis of one (``lm_head.weight[0]``).

        Raises:
            InputError: nothing is called that.
        """
        return explain(self, name)


def trace(
    model: torch.nn.Module, example_inputs: Any = None, outputs: Iterable[str] | None = None, strict: bool = False
) -> ConstraintGraph:
    """Trace a model and build its constraint graph.

    Args:
        model: any module. Its weights are not needed: parameters may be on the meta device.
        example_inputs: a dict for ``model(**inputs)`` or a tuple for ``model(*inputs)``; None derives them from the
            class and config of a Hugging Face model.
        outputs: names of the outputs that count as the function; None takes every floating output but losses, hidden
            states, attentions, caches and encoder states.
        strict: raise `UnknownOp` at an op without a rule. Without it, the op is run on drawn arguments and its equation
            inferred (listed in ``probed`` and the notes); if that tells nothing, all that it touches is pinned.

    Raises:
        TraceError: the model cannot be run on these inputs, or no inputs are known.
        UnknownOp: with ``strict``.
    """
    inputs = default_inputs(model) if example_inputs is None else Inputs.of(example_inputs)
    programs = trace_all(model, inputs, None if outputs is None else tuple(outputs))
    graph = ConstraintGraph(model, programs, strict)
    for unknown in graph.unknown:
        warnings.warn(f"{unknown}; pinned", GraphMergeWarning, stacklevel=2)
    return graph
