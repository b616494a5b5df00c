"""Names of groups: role from structure, index from the module path, one form everywhere: ``layers.0.ffn``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from graphmerge.algebra import Solution
from graphmerge.graph.roles import Flow, find_roles, layer_of

Layer = tuple[str, int]


def name_leaves(flow: Flow, order: Iterable[str], turned: Sequence[int] = ()) -> dict[int, str]:
    """A name for every group, every pinned leaf that a group is over, and what a rotary table leaves (``turned``).

    ``order``: parameter names in model order.
    """
    solution = flow.solution
    wanted = [n for n, leaf in solution.leaves.items() if leaf.pinned is None and leaf.size > 1]
    wanted += [base for n in list(wanted) for base in solution.leaves[n].over]
    wanted += turned
    members = _members(solution, order)
    roles = find_roles(flow) | dict.fromkeys(turned, "rotary")
    wanted = sorted(dict.fromkeys(wanted), key=list(members).index)
    home = {leaf: _home(members[leaf]) for leaf in wanted}
    labels = _stack_labels({layer_of(t)[0] for leaf in wanted for t in members[leaf] if layer_of(t)})  # type: ignore[index]
    writers = flow.writers_of()
    for leaf in wanted:  # the writer first: a leaf without a role is named after it
        if leaf in writers and home[leaf] in (None, layer_of(writers[leaf])):
            rivals = [o for o in wanted if o != leaf and writers.get(o) == writers[leaf] and not {o, leaf} & set(roles)]
            first = _own(members[leaf], [members[o] for o in rivals]) if rivals else writers[leaf]
            members[leaf] = list(dict.fromkeys([first or writers[leaf], *members[leaf]]))
    names = {leaf: _name(members[leaf], home[leaf], roles.get(leaf), labels) for leaf in wanted}
    return _unique(names, members)


def _members(solution: Solution, order: Iterable[str]) -> dict[int, list[str]]:
    """Tensors of each leaf, in model order."""
    found: dict[int, list[str]] = defaultdict(list)
    for tensor in order:
        for box in solution.boxes.get(tensor, []):
            for factor in box.factors:
                for leaf in (factor.leaf, solution.merged.get(factor.leaf, factor.leaf)):
                    if tensor not in found[leaf]:
                        found[leaf].append(tensor)
    return found


def _own(tensors: list[str], others: list[list[str]]) -> str | None:
    """The first tensor that no other leaf has."""
    return next((t for t in tensors if not any(t in o for o in others)), None)


def _home(tensors: list[str]) -> Layer | None:
    """The one layer that all tensors stand in, if there is one."""
    layers = {layer_of(t) for t in tensors}
    return layers.pop() if len(layers) == 1 else None


def _stack_labels(stacks: set[str]) -> dict[str, str]:
    """What tells lists of layers apart: ``encoder`` and ``decoder``; the only list needs no label."""
    if len(stacks) < 2:
        return dict.fromkeys(stacks, "layers")
    paths = {s: s.split(".") for s in stacks}
    start = next((k for k in range(99) if len({tuple(p[k : k + 1]) for p in paths.values()}) > 1), 0)
    labels = {}
    for stack, parts in paths.items():
        label = parts[start] if start < len(parts) else parts[-1]
        labels[stack] = label if start >= len(parts) - 1 else f"{label}.layers"
    clashing = len(set(labels.values())) < len(labels)
    return {s: s for s in stacks} if clashing else labels


def _name(tensors: list[str], home: Layer | None, role: str | None, labels: Mapping[str, str]) -> str:
    if home is not None:
        return f"{labels[home[0]]}.{home[1]}.{role or _module(tensors[0], home)}"
    if role is None:
        return _module(next((t for t in tensors if layer_of(t) is None), tensors[0]), None)
    stacks = {labels[layer[0]] for t in tensors if (layer := layer_of(t))}
    if role == "residual" or len(stacks) != 1 or stacks == {"layers"}:
        return role
    return f"{stacks.pop().removesuffix('.layers')}.{role}"


def _module(tensor: str, home: Layer | None) -> str:
    """The module that holds a tensor, within its layer; a bare parameter is named itself."""
    path, _, own = tensor.rpartition(".")
    if own not in ("weight", "bias") or not path:
        path = tensor
    return path.removeprefix(f"{home[0]}.{home[1]}.") if home else path


def _unique(names: dict[int, str], members: Mapping[int, list[str]]) -> dict[int, str]:
    """Where several leaves got one name, add the part of their module paths that tells them apart, else a number."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for leaf, name in names.items():
        by_name[name].append(leaf)
    for name, leaves in by_name.items():
        if len(leaves) == 1:
            continue
        scope, dot, role = name.rpartition(".")
        parts = [_telling(members[leaf][0], [members[o][0] for o in leaves if o != leaf]) for leaf in leaves]
        for leaf, part in zip(leaves, parts):
            if part and parts.count(part) == 1 and not name.endswith(part):
                names[leaf] = f"{scope}{dot}{part}.{role}"
    taken: dict[str, int] = {}
    for leaf, name in names.items():
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            names[leaf] = f"{name}_{taken[name]}"
    return names


def _telling(tensor: str, others: list[str]) -> str | None:
    """The first word of a path (numbers aside) that none of the others has."""
    foreign = {part for other in others for part in other.split(".")}
    return next((p for p in tensor.split(".")[:-1] if not p.isdigit() and p not in foreign), None)
