"""What to change in a config, and in the configs inside it, so that it becomes small."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from graphmerge.shrink.layers import layer_changes
from graphmerge.shrink.roles import role_of
from graphmerge.shrink.sizes import Lists, Sizes, hidden_of, width_of

Path = tuple[str, ...]
RATIO: Final = 2


@dataclass(frozen=True)
class Change:
    """One number, or list of numbers, of one config: ``path`` leads to the config, ``role`` says what it is."""

    path: Path
    name: str
    role: str
    value: Any


@dataclass(frozen=True)
class Plan:
    """All changes that make a config small; `apply` gives a copy with those of some roles or names left out."""

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


def plan(config: Any, side: int = 16, least: int = 1, ratios: bool = False) -> Plan:
    """What to change, for a config and all configs inside it.

    Pictures get ``side`` pixels a side, and widths at least ``least`` units. With ``ratios``, widths that are multiples
    of the commonest hidden size stay such, and so do those in lists: some models put two vectors one after the other,
    or do something else where two widths differ.
    """
    changes: list[Change] = []
    lists = Lists.of(numbers_of(part) for _, part in parts(config))
    wide = max(least, width_of(numbers_of(part) for _, part in parts(config)))
    lists = replace(lists, fixed=_multiples(config, lists, wide)) if ratios else lists
    shared: dict[int, int] = {}
    for path, part in parts(config):
        numbers = numbers_of(part)
        for name, value in layer_changes(part):
            changes.append(Change(path, name, "layers", value))
        sizes = Sizes.of(part, numbers, shared, wide, lists, side)
        for name, value in numbers.items():
            new = sizes.small(name, value)
            if new is not None and new != value:
                changes.append(Change(path, name, role_of(name), new))
        changes += [Change(path, name, "rotary", value) for name, value in sizes.rotary(part)]
        changes += [Change(path, name, "image", value) for name, value in _tilings(part, side)]
        changes += [Change(path, name, "ratio", value) for name, value in _ratios(part)]
    return Plan((*changes, *_token_changes(config)))


def _tilings(config: Any, side: int) -> Iterator[tuple[str, Any]]:
    """Heights and widths of pictures that are cut into tiles: as many tiles as before, with smaller sides."""
    for name, value in vars(config).items():
        pairs = isinstance(value, (list, tuple)) and value and all(isinstance(v, (list, tuple)) for v in value)
        if pairs and name.endswith("pinpoints"):
            tile = math.gcd(*(n for pair in value for n in pair))
            yield name, [[n // tile * min(side, tile) for n in pair] for pair in value]


def _multiples(config: Any, lists: Lists, wide: int) -> dict[int, int]:
    """Old and new widths of those that the commonest hidden size divides, and of all in lists with a width alone."""
    hidden = [n for _, part in parts(config) if (n := hidden_of(numbers_of(part))) is not None]
    common = max(hidden, key=hidden.count, default=0)
    fixed = {v: v // common * wide for v in lists.plain if common and v % common == 0}
    return fixed | ({v: v // lists.unit * wide for v in lists.listed} if lists.unit in lists.plain else {})


def parts(config: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The configs in a config, from the inside out, with their paths."""
    for name, value in vars(config).items():
        if not name.startswith("_") and hasattr(value, "to_dict") and hasattr(value, "model_type"):
            yield from parts(value, (*path, name))
    yield path, config


def numbers_of(config: Any) -> dict[str, Any]:
    """Whole numbers, and lists of them."""
    found = {}
    for name, value in vars(config).items():
        listed = isinstance(value, (list, tuple)) and value and all(type(v) is int for v in value)
        if not name.startswith("_") and (type(value) is int or listed):
            found[name] = value
    return found


def _ratios(config: Any) -> Iterator[tuple[str, Any]]:
    """How many times as wide an inner layer is: not more than `RATIO`."""
    for name, value in vars(config).items():
        if role_of(name) == "ratio" and isinstance(value, (int, float)):
            yield name, type(value)(min(value, RATIO))
        elif role_of(name) == "ratio" and isinstance(value, (list, tuple)):
            yield name, type(value)(type(v)(min(v, RATIO)) for v in value)


def _token_changes(config: Any) -> Iterator[Change]:
    """Token ids in their order, without gaps: all of them inside a small vocabulary, different ones different."""
    found = [
        (path, name, value)
        for path, part in parts(config)
        for name, value in numbers_of(part).items()
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
