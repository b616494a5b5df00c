"""Why are these axes tied, why is that one pinned: the path of ops between them, as text."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from graphmerge.algebra.leaves import Leaves
from graphmerge.errors import InputError
from graphmerge.graph.system import original

if TYPE_CHECKING:
    from graphmerge.graph.constraint_graph import ConstraintGraph

Step = tuple[int, int]  # the occurrence before, and the equation between


def explain(graph: ConstraintGraph, name: str) -> str:
    """See `ConstraintGraph.explain`."""
    leaves = [leaf for leaf, known in graph.all_names.items() if known == name]
    if leaves:
        return _explain_leaf(graph, leaves[0], name)
    tensor, axis = _axis_of(name)
    if tensor not in graph.keys:
        raise InputError(f"nothing is called {name!r}; groups are {', '.join(sorted(graph.all_names.values()))}")
    parts = []
    for leaf in _leaves_at(graph, graph.keys[tensor], axis):
        parts.append(_explain_leaf(graph, leaf, graph.names.get(leaf, ""), graph.keys[tensor]))
    return "\n\n".join(parts) or f"{name} has no units that could move"


def _axis_of(name: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(.+)\[(\d+)\]", name)
    return (found[1], int(found[2])) if found else (name, None)


def _leaves_at(graph: ConstraintGraph, tensor: str, axis: int | None) -> list[int]:
    boxes = graph.solution.boxes.get(tensor, [])
    return list(dict.fromkeys(f.leaf for b in boxes for f in b.factors if axis in (None, f.axis) and f.size > 1))


def _explain_leaf(graph: ConstraintGraph, leaf: int, name: str, tensor: str | None = None) -> str:
    solution = graph.solution
    working = solution.working
    occurrences = [o for o in range(len(working.occurrence_box)) if solution.leaf_at(o) == leaf]
    own = [o for o in occurrences if _kind(graph, o) in ("parameter", "buffer")]
    own.sort(key=lambda o: tensor != working.boxes[working.occurrence_box[o]].tensor)
    found = solution.leaves[leaf]
    title = f"{name or 'unnamed'}: {found.size} units"
    if found.over:
        title += " over " + ", ".join(graph.names.get(b, "a pinned axis") for b in found.over)
    paths = _paths(graph, own[0])
    if found.pinned is not None:
        pinned = next((o for o in occurrences if o in working.pins and o in paths), None)
        lines = [f"{title}, pinned: {graph.reasons[leaf]}"]
        return "\n".join(lines + (_path_lines(graph, paths, pinned, {own[0]}) if pinned is not None else []))
    lines = [f"{title}; free, tied on {len(_distinct(graph, own))} axes"]
    told = {own[0]}
    for occurrence in _distinct(graph, own):
        if occurrence == own[0]:
            lines.append(f"  {_show(graph, occurrence)}")
        elif occurrence in paths:
            lines += [f"  {_show(graph, occurrence)}, by", *_path_lines(graph, paths, occurrence, told)]
        else:
            lines.append(f"  {_show(graph, occurrence)}, its neighbour in every op")
    return "\n".join(lines)


def _kind(graph: ConstraintGraph, occurrence: int) -> str:
    working = graph.solution.working
    return graph.system.tensors[working.boxes[working.occurrence_box[occurrence]].tensor].kind


def _distinct(graph: ConstraintGraph, occurrences: list[int]) -> list[int]:
    """One occurrence for each axis of each tensor."""
    return list({_show(graph, o): o for o in reversed(occurrences)}.values())[::-1]


def _show(graph: ConstraintGraph, occurrence: int) -> str:
    working: Leaves = graph.solution.working
    box = working.boxes[working.occurrence_box[occurrence]]
    axis = box.axes[occurrence - box.first]
    run = working.runs(box)[axis]
    whole = len(working.axis_choices(box.tensor)[axis]) == 1
    name = f"{original(box.tensor)}[{axis}]"
    return name if whole else f"{name} from unit {run.offset}"


def _paths(graph: ConstraintGraph, start: int) -> dict[int, Step | None]:
    """Breadth first over the equations' instances: how each occurrence was reached."""
    working = graph.solution.working
    linked: dict[int, list[tuple[int, int]]] = defaultdict(list)  # occurrence -> (link, equation)
    members: list[list[int]] = []
    for instance in working.instances:
        by_key: dict[tuple[str, int], list[int]] = defaultdict(list)
        for number, letters in zip(instance.boxes, instance.letters):
            for dim, key in enumerate(letters):
                if key is not None:
                    by_key[key].append(working.boxes[number].first + dim)
        for occurrences in by_key.values():
            for occurrence in occurrences:
                linked[occurrence].append((len(members), instance.equation))
            members.append(occurrences)
    reached: dict[int, Step | None] = {start: None}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for link, equation in linked[here]:
            for there in members[link]:
                if there not in reached:
                    reached[there] = (here, equation)
                    queue.append(there)
    return reached


def _path_lines(graph: ConstraintGraph, paths: dict[int, Step | None], target: int, told: set[int]) -> list[str]:
    """The steps to ``target`` from the nearest occurrence that was told before; those on the way are told then."""
    lines = []
    occurrence = target
    while occurrence not in told and (step := paths[occurrence]) is not None:
        told.add(occurrence)
        eq = graph.system.equations[step[1]]
        where = ", ".join(x for x in (eq.origin.module, eq.origin.source) if x)
        lines.append(f"    {_show(graph, occurrence)} <- {eq.origin.op} ({eq})" + (f" in {where}" if where else ""))
        occurrence = step[0]
    return [f"    at {_show(graph, occurrence)}", *lines[::-1]]
