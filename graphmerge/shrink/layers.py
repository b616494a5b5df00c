"""Which layers of a stack stay: two, or one of each kind, where a config says by any means which layer is of which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from graphmerge.shrink.roles import role_of

LAYERS: Final = 2
MOST: Final = 4  # kinds
STAGES: Final = 8  # a longer list of counts of layers is of something else
_PLACES: Final = re.compile(r"(indices|indexes|_ids|_idx|_idxs|layers|blocks)$")
_PERIOD: Final = re.compile(r"(period|interval|pattern|every_n(_layers)?|_freq|layer_step|_every)$")
_OFFSET: Final = re.compile(r"layer_offset$|_offset$")
_LEADING: Final = re.compile(r"first_k_dense|num_dense_layers|n_dense_layers|first_dense")


def layer_changes(config: Any) -> Iterator[tuple[str, Any]]:
    """Names and new values of counts of layers, of lists with an entry a layer, of lists of layers, and of periods."""
    held = {n: v for n, v in vars(config).items() if not n.startswith("_")}
    counts = {n: v for n, v in held.items() if type(v) is int and role_of(n) == "layers" and v > LAYERS}
    for name, count in counts.items():
        listed = {n: v for n, v in held.items() if isinstance(v, (list, tuple)) and len(v) == count}
        places = {n: v for n, v in held.items() if n not in listed and _is_places(n, v, count)}
        stages, outputs = held.get("stage_names") or [], vars(config).get("_out_indices") or []
        if len(stages) == count + 1 and outputs and min(outputs) > 0:  # the stem comes before the layers
            places["_out_indices"] = [k - 1 for k in outputs]
        kinds = [*zip(*listed.values())] if listed else [()] * count
        kinds = [(_text(kind), _flags(k, count, places)) for k, kind in enumerate(kinds)]
        kept = _one_of_each(kinds)
        yield name, len(kept)
        for other, values in listed.items():
            yield other, type(values)(values[k] for k in kept)
        for other, values in places.items():
            new = type(values)(kept.index(v % count) for v in values if v % count in kept)
            if other == "_out_indices":
                yield "stage_names", stages[: len(kept) + 1]
                yield "_out_features", [stages[k + 1] for k in new]
                new = [k + 1 for k in new]
            yield other, new
    if counts:
        yield from _period_changes(held)
    for name, stages in held.items():
        if is_stages(name, stages):
            yield from _stage_changes(name, stages, held)


def is_stages(name: str, value: Any) -> bool:
    """Is this a list of counts of layers, one for each stage?"""
    listed = isinstance(value, (list, tuple)) and 0 < len(value) <= STAGES and all(type(v) is int for v in value)
    return bool(listed and role_of(name) == "layers")


def counts_through(stages: Any, held: dict[str, Any]) -> dict[str, Any]:
    """Lists of layers that count through all stages."""
    return {n: v for n, v in held.items() if _is_places(n, v, sum(stages)) and max(v) > len(stages)}


def _stage_changes(name: str, stages: Any, held: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """One of each kind in every stage; lists of layers count through all stages."""
    places = counts_through(stages, held)
    kept, new, start = [], [], 0
    for count in stages:
        kinds = [(None, tuple(k in values for values in places.values())) for k in range(start, start + count)]
        stay = [start + k for k in _one_of_each(kinds)]
        kept += stay
        new.append(len(stay))
        start += count
    yield name, type(stages)(new)
    for other, values in places.items():
        yield other, type(values)(kept.index(v) for v in values if v in kept)


def _period_changes(held: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every second layer is of the other kind."""
    for name, value in held.items():
        if type(value) is not int:
            continue
        if _PERIOD.search(name) and value > LAYERS:
            yield name, LAYERS
        elif (_OFFSET.search(name) or _LEADING.search(name)) and value > 1:
            yield name, 1


def _is_places(name: str, value: Any, count: int) -> bool:
    """Is this a list of layers?"""
    whole = isinstance(value, (list, tuple)) and value and all(type(v) is int for v in value)
    return bool(whole and _PLACES.search(name) and max(value) < count and len(set(value)) == len(value))


def _flags(layer: int, count: int, places: dict[str, Any]) -> tuple[Any, ...]:
    """In which lists a layer is; of a short list every layer is a kind of its own."""
    found = []
    for values in places.values():
        inside = layer in {v % count for v in values}
        found.append(layer if inside and len(values) <= MOST else inside)
    return tuple(found)


def _text(kind: Any) -> Any:
    return str(kind)


def _one_of_each(kinds: list[Any]) -> list[int]:
    """Places of the first layer of each kind, at least two and at most `MOST`."""
    firsts = [k for k, kind in enumerate(kinds) if kinds.index(kind) == k]
    firsts = sorted(firsts, key=lambda k: not any(kinds[k][1]))[: MOST + 1] if len(firsts) > MOST else firsts
    more = [k for k in range(len(kinds)) if k not in firsts]
    return sorted([*firsts, *more[: max(0, LAYERS - len(firsts))]])
