"""The same architecture, tiny: few layers, few heads, small widths; what ties sizes to each other is kept.

Nothing here knows an architecture. Numbers are told apart by their names; equal widths stay equal, heads still divide
widths, grouped queries stay grouped, each kind of layer stays once, token ids stay inside the vocabulary.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from graphmerge.shrink.roles import role_of

HEADS: Final = 2
HEAD: Final = 4  # units of a head: two pairs for a rotary table
LAYERS: Final = 2
VOCABULARY: Final = 24
POSITIONS: Final = 32
SMALL: Final = {
    "vocabulary": VOCABULARY,
    "experts": 4,
    "chosen": 2,
    "one": 1,
    "classes": 3,
    "latents": 3,
    "patch": 4,
    "window": 2,
    "positions": POSITIONS,
    "buckets": 8,
    "groups": 2,
    "rank": 3,
    "state": 5,
    "mels": 8,
}
INNER: Final = 12  # units of a feed-forward layer
# What is tried without, in this order, where the whole plan fails.
STAGES: Final = (
    "mels",
    "image",
    "groups",
    "latents",
    "window",
    "patch",
    "buckets",
    "state",
    "rank",
    "one",
    "positions",
)


@dataclass(frozen=True)
class Change:
    """One number, or list of numbers, of one config: ``path`` leads to the config, ``role`` says what it is."""

    path: tuple[str, ...]
    name: str
    role: str
    value: Any


@dataclass(frozen=True)
class Plan:
    """All changes that make a config small; `apply` gives a copy with those of some roles left out."""

    changes: tuple[Change, ...]

    def apply(self, config: Any, without: frozenset[str] = frozenset()) -> Any:
        """A changed copy."""
        config = copy.deepcopy(config)
        for change in self.changes:
            if change.role in without or change.name in without:
                continue
            holder = config
            for step in change.path:
                holder = getattr(holder, step)
            _set(holder, change.name, change.value)
        return config


def shrink(config: Any, works: Callable[[Any], object] | None = None) -> Any:
    """A small config of the same class, as a copy.

    Args:
        config: a Hugging Face config, nested ones included.
        works: builds and runs a model of a config, and raises where that fails. Then single roles of numbers are left
            as they were until it does not.

    Raises:
        Exception: what ``works`` raised for the whole plan, if no part of it works either.
    """
    whole = plan(config)
    try:
        return _tried(whole.apply(config), works)
    except Exception as error:
        roles = [r for r in STAGES if any(c.role == r for c in whole.changes)]
        others = sorted({c.role for c in whole.changes} - set(roles) - {"layers"})
        for without in [frozenset({r}) for r in [*roles, *others]] + [frozenset(roles)]:
            with suppress(Exception):
                return _tried(whole.apply(config, without), works)
        raise error


def _tried(config: Any, works: Callable[[Any], object] | None) -> Any:
    if works is not None:
        works(config)
    return config


def plan(config: Any) -> Plan:
    """What to change, for a config and all configs inside it."""
    changes: list[Change] = []
    widths: dict[int, int] = {}
    for path, part in _parts(config):
        changes += _changes(path, part, widths)
    return Plan((*changes, *_token_changes(config)))


def _parts(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The configs in a config, from the inside out."""
    for name, value in vars(config).items():
        if not name.startswith("_") and _is_config(value):
            yield from _parts(value, (*path, name))
    yield path, config


def _is_config(value: Any) -> bool:
    return hasattr(value, "to_dict") and hasattr(value, "model_type")


def _numbers(config: Any) -> dict[str, Any]:
    """Whole numbers, and lists of them."""
    found = {}
    for name, value in vars(config).items():
        listed = isinstance(value, (list, tuple)) and value and all(type(v) is int for v in value)
        if not name.startswith("_") and (type(value) is int or listed):
            found[name] = value
    return found


def _changes(path: tuple[str, ...], config: Any, widths: dict[int, int]) -> Iterator[Change]:
    numbers = _numbers(config)
    roles = {name: role_of(name) for name in numbers}
    by_role = {role: {n: v for n, v in numbers.items() if roles[n] == role} for role in set(roles.values())}
    yield from _layer_changes(path, config, by_role.get("layers", {}))
    heads = _heads({n: v for n, v in by_role.get("heads", {}).items() if type(v) is int})
    wide = max(heads.values(), default=HEADS) * HEAD
    for name, value in numbers.items():
        new = _small(name, value, roles[name], heads, wide, widths)
        if new is not None and new != value:
            yield Change(path, name, roles[name], new)
    yield from _rotary_changes(path, config)


def _small(
    name: str, value: Any, role: str, heads: dict[str, int], wide: int, widths: dict[int, int]
) -> int | list[int] | None:
    """The small value; None where it stays."""
    if isinstance(value, (list, tuple)):
        return _small_list([*value], role)
    if role == "heads":
        return heads.get(name)
    if role == "head size":
        return min(value, HEAD)
    if role == "image":
        return min(value, 16)
    if role == "inner width":
        return min(value, INNER)
    if role == "width":
        return widths.setdefault(value, wide) if value > wide else None
    if role in SMALL and value > 0:
        return min(value, SMALL[role])
    return None


def _small_list(values: list[int], role: str) -> list[int] | None:
    """Lists of widths or heads keep their ratios; lists of layers are one of each."""
    if role in ("width", "inner width") and min(values) > 0:
        unit = math.gcd(*values)
        return [v // unit * HEAD if v // unit <= 16 else 8 * HEAD for v in values]
    if role == "heads" and min(values) > 0:
        return [max(1, v // min(values)) for v in values]
    if role == "layers" and len(values) <= 6:
        return [min(v, LAYERS) for v in values]
    if role in ("image", "patch", "window"):
        return [min(v, 16 if role == "image" else SMALL[role]) for v in values]
    return None


def _heads(heads: dict[str, int]) -> dict[str, int]:
    """Two heads; where keys and values have fewer heads than queries, four over two, or two over one."""
    most = max(heads.values(), default=0)
    shared = [v for n, v in heads.items() if ("kv" in n or "key_value" in n) and 0 < v < most]
    grouped = any(v > 1 for v in shared)
    small = {}
    for name, value in heads.items():
        if value <= 0:
            continue
        if "kv" in name or "key_value" in name:
            small[name] = 1 if value == 1 and most > 1 else min(HEADS, value)
        else:
            small[name] = min(value, 2 * HEADS if grouped else HEADS)
    return small


def _layer_changes(path: tuple[str, ...], config: Any, layers: dict[str, Any]) -> Iterator[Change]:
    """Two layers, or one of each kind where kinds are listed layer by layer."""
    for name, count in layers.items():
        if type(count) is not int or count <= LAYERS:
            continue
        listed = {n: v for n, v in vars(config).items() if isinstance(v, (list, tuple)) and len(v) == count}
        kept = _one_of_each(list(zip(*listed.values())) if listed else [0] * count)
        yield Change(path, name, "layers", len(kept))
        for other, values in listed.items():
            yield Change(path, other, "layers", type(values)(values[k] for k in kept))


def _one_of_each(kinds: list[Any]) -> list[int]:
    """Places of the first layer of each kind, at least two and at most four."""
    firsts = [k for k, kind in enumerate(kinds) if kinds.index(kind) == k][: 2 * LAYERS]
    more = [k for k in range(len(kinds)) if k not in firsts]
    return sorted([*firsts, *more[: max(0, LAYERS - len(firsts))]])


def _rotary_changes(path: tuple[str, ...], config: Any) -> Iterator[Change]:
    """Rotary sections make up half a head: they are scaled with it."""
    for name, value in vars(config).items():
        if isinstance(value, dict) and isinstance(value.get("mrope_section"), (list, tuple)):
            yield Change(path, name, "rotary", value | {"mrope_section": [HEAD // 2, 0, 0]})


def _token_changes(config: Any) -> Iterator[Change]:
    """Token ids in their order, without gaps: all of them inside a small vocabulary, different ones different."""
    found = [
        (path, name, value)
        for path, part in _parts(config)
        for name, value in _numbers(part).items()
        if role_of(name) == "token"
    ]
    each = [v for _, _, value in found for v in (value if isinstance(value, (list, tuple)) else [value]) if v >= 0]
    place = {v: k for k, v in enumerate(sorted(set(each)))}
    for path, name, value in found:
        new = [place.get(v, v) for v in value] if isinstance(value, (list, tuple)) else place.get(value, value)
        yield Change(path, name, "token", new)


def _set(config: Any, name: str, value: Any) -> None:
    held = vars(config).get(name)
    setattr(config, name, type(held)(value) if isinstance(held, tuple) else value)
