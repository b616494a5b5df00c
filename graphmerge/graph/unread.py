"""Leaves that no output depends on: what only dead code reads, and rows of a table that are cut off after an op."""

from __future__ import annotations

from collections import defaultdict

from graphmerge.algebra.leaves import Instance
from graphmerge.graph.roles import Flow

ENDS = ("output", "value", "mutation")  # the equations that say what the function is


def unread_leaves(flow: Flow) -> set[int]:
    """Free leaves that stand in no box from which an output can be reached."""
    solution = flow.solution
    working, live = solution.working, _live_boxes(flow)
    reached = {
        solution.leaf_at(occurrence)
        for box in live
        for first in [working.boxes[box].first]
        for occurrence in range(first, first + len(working.boxes[box].sizes))
    }
    return {name for name, leaf in solution.leaves.items() if leaf.pinned is None and name not in reached}


def _live_boxes(flow: Flow) -> set[int]:
    """Backwards over the equations, which are in order: what a live box is computed from is live."""
    by_equation: dict[int, list[Instance]] = defaultdict(list)
    for instance in flow.solution.working.instances:
        by_equation[instance.equation].append(instance)
    live: set[int] = set()
    for number in reversed(range(len(flow.equations))):
        eq, written = flow.equations[number], flow.outputs[number]
        # an op without a rule only pins, tensor by tensor: what it reads counts as read, since it is not known for what
        ends = eq.origin.op in ENDS or (len(eq.terms) == 1 and bool(eq.pins))
        for _ in range(2):  # once more, for what the first round reached through a virtual term
            for instance in by_equation[number]:
                results = [b for b, t in zip(instance.boxes, eq.terms) if t.tensor is None or t.tensor in written]
                if ends or any(b in live for b in results or instance.boxes):
                    live |= set(instance.boxes)
    return live
