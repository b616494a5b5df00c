"""Small widths, heads and counts; what one size is a multiple of in the config, it stays a multiple of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from graphmerge.shrink.roles import role_of

HEADS: Final = 2
HEAD: Final = 4  # units of a head: two pairs for a rotary table
MOST: Final = 2 * HEADS * HEAD  # units of a width, where nothing asks for more
VOCABULARY: Final = 24
INNER: Final = 12  # units of a feed-forward layer
LISTED: Final = ("width", "inner width", "channels")  # roles of lists of widths
HIDDEN: Final = ("hidden_size", "d_model", "n_embd", "dim")
SMALL: Final = {
    "vocabulary": VOCABULARY,
    "codes": 16,  # a power of two
    "experts": 4,
    "chosen": 2,
    "one": 1,
    "classes": 3,
    "latents": 3,
    "patch": 4,
    "window": 2,
    "positions": 32,
    "buckets": 8,
    "groups": 2,
    "rank": 6,
    "state": 5,
    "mels": 8,
    "reach": 4,
    "rotary": HEAD,
    "few": 2,
}


@dataclass(frozen=True)
class Sizes:
    """The sizes of one config.

    ``shared`` maps old widths to new ones, over all configs inside one; ``unit`` is what all widths in lists are
    multiples of; ``products`` maps what a number of heads times their size is to what it becomes; ``plain`` and
    ``listed`` are the widths that are written alone and in lists; ``fixed`` is what widths become that are settled in
    advance; ``patch`` is how many numbers a patch of a picture has, and how many it gets; ``cell`` is how many pixels
    a side patches that are merged into one have, and how many they get.
    """

    heads: dict[str, int]
    sizes: dict[str, int]
    wide: int
    unit: int
    shared: dict[int, int]
    products: dict[int, int]
    plain: frozenset[int]
    listed: frozenset[int]
    fixed: dict[int, int]
    side: int
    patch: tuple[int, int]
    cell: tuple[int, int]

    @classmethod
    def of(
        cls, config: Any, numbers: dict[str, Any], shared: dict[int, int], wide: int, lists: Lists, side: int
    ) -> Sizes:
        """From the numbers of a config, for widths of ``wide`` units."""
        plain = {n: v for n, v in numbers.items() if type(v) is int and v > 0}
        heads = _heads(_role(numbers, "heads"))
        width = hidden_of(plain)
        sizes, products = {}, {}
        for name in _role(numbers, "head size"):
            many = _their_heads(name, heads)
            total = plain[name] * plain[many] if many else None
            if many and width and total and total % width == 0:
                sizes[name] = total // width * lists.fixed.get(width, min(width, wide)) // heads[many]
            else:
                sizes[name] = min(plain[name], HEAD)
            if many and total:
                products[total] = sizes[name] * heads[many]
        listed, fixed, patch, cell = Lists.of([numbers]).listed, lists.fixed, _patch(plain), _cell(plain)
        return cls(heads, sizes, wide, lists.unit, shared, products, lists.plain, listed, fixed, side, patch, cell)

    def small(self, name: str, value: Any) -> int | list[int] | None:
        """The small value; None where it stays."""
        role = role_of(name)
        if isinstance(value, (list, tuple)):
            return self._list([*value], role)
        if role == "heads":
            return self.heads.get(name)
        if role == "head size":
            return self.sizes.get(name)
        if role == "image":
            return min(value, self.side)
        if role == "half width":
            return self.shared.get(2 * value, self.wide) // 2
        if role == "inner width":
            return self._listed(value) if value in self.listed else self.products.get(value, min(value, INNER))
        if role == "width" and "patch" in name and value == self.patch[0]:
            return self.patch[1]
        if role == "width" and value in self.fixed:
            return self.fixed[value]
        if role == "width":
            return self.shared.setdefault(value, self.products.get(value, self.wide)) if value > self.wide else None
        if role == "window" and self.cell[0] and value % self.cell[0] == 0:  # in pixels, not in patches
            return self.cell[1]
        if role in SMALL and value > 0:
            return min(value, SMALL[role])
        return None

    def _list(self, values: list[int], role: str) -> list[int] | None:
        """Lists of widths or heads keep their ratios."""
        if role in LISTED and min(values) >= 0:
            return [self._listed(v) for v in values]
        if role == "heads" and len(set(values)) == 1:
            return [max(self.heads.values(), default=HEADS)] * len(values)
        if role == "heads" and min(values) > 0:
            return [max(1, v // min(values)) for v in values]
        if role in ("image", "patch", "window"):
            return [min(v, self.side if role == "image" else SMALL[role]) for v in values]
        return None

    def _listed(self, value: int) -> int:
        """A width of a list: the width of all where it is written alone too, else as many units as it was."""
        if value <= HEAD:
            return value
        if value in self.fixed or value in self.plain:
            return self.fixed.get(value, min(value, self.wide))
        step, most = (self.wide, 2) if self.wide > MOST else (HEAD, 2 * HEAD)
        return min(value // self.unit, most) * step

    def rotary(self, config: Any) -> Iterator[tuple[str, Any]]:
        """Sections of a rotary table: as large a part of a head as before, or all that is rotated."""
        for name, value in vars(config).items():
            if not isinstance(value, dict) or "rope_type" not in value:
                continue
            new = self.sizes.get("head_dim", HEAD)
            old = value.get("mrope_section")
            if isinstance(old, (list, tuple)):
                size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
                yield name, value | {"mrope_section": _sections(max(1, sum(old) * new // size))}
            elif "mrope_section" in (getattr(config, "ignore_keys_at_rope_validation", None) or ()):
                half = int(new * value.get("partial_rotary_factor", 1)) // 2
                yield name, value | {"mrope_section": _sections(max(1, half))}


def hidden_of(numbers: dict[str, Any]) -> int | None:
    """The width that a model of a config has between its layers, from the config's numbers."""
    return next((v for n in HIDDEN if type(v := numbers.get(n)) is int), None)


def _patch(numbers: dict[str, int]) -> tuple[int, int]:
    """How many numbers a patch of a picture has before and after; none where a config does not say it."""
    size, channels = numbers.get("patch_size", 0), numbers.get("num_channels", 0)
    return size * size * channels, min(size, SMALL["patch"]) ** 2 * channels


def _cell(numbers: dict[str, int]) -> tuple[int, int]:
    """Pixels a side of patches that are merged into one, before and after; none where a config merges none."""
    size, merged = numbers.get("patch_size", 0), numbers.get("spatial_merge_size", 0)
    return size * merged, min(size, SMALL["patch"]) * merged


def _sections(total: int) -> list[int]:
    """Time gets the larger half, height and width the rest."""
    rest = total // 2
    return [total - rest, rest - rest // 2, rest // 2]


@dataclass(frozen=True)
class Lists:
    """Widths in lists, over all configs inside one: what they are multiples of, and the widths written alone.

    ``fixed`` is what some of them become, settled in advance.
    """

    unit: int
    plain: frozenset[int]
    listed: frozenset[int]
    fixed: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, configs: Iterable[dict[str, Any]]) -> Lists:
        """From configs that are given as their numbers."""
        plain, listed = set(), set()
        for name, value in (item for numbers in configs for item in numbers.items()):
            if type(value) is not int and role_of(name) in LISTED:
                listed |= {v for v in value if v > HEAD}
            elif type(value) is int and role_of(name) == "width":
                plain.add(value)
        return cls(math.gcd(*listed) or 1, frozenset(plain), frozenset(listed))


def width_of(configs: Iterable[dict[str, Any]]) -> int:
    """Units of every width: enough for the most heads of any of the configs, given as their numbers."""
    most = [max(_heads(_role(numbers, "heads")).values(), default=HEADS) for numbers in configs]
    return max(most, default=HEADS) * HEAD


def _role(numbers: dict[str, Any], role: str) -> dict[str, int]:
    return {n: v for n, v in numbers.items() if type(v) is int and v > 0 and role_of(n) == role}


def _their_heads(name: str, heads: dict[str, int]) -> str | None:
    """The heads that a size of heads belongs to: those whose name shares most words with it, no keys or values."""
    words = set(name.split("_"))
    own = [h for h in heads if "kv" not in h and "key_value" not in h]
    return max(own, key=lambda h: (len(words & set(h.split("_"))), h == "num_attention_heads"), default=None)


def _heads(heads: dict[str, int]) -> dict[str, int]:
    """Two heads; where keys and values have fewer heads than queries, four over two, or two over one."""
    most = max(heads.values(), default=0)
    shared = [v for n, v in heads.items() if ("kv" in n or "key_value" in n) and 0 < v < most]
    grouped = any(v > 1 for v in shared)
    small = {}
    for name, value in heads.items():
        if "kv" in name or "key_value" in name:
            small[name] = 1 if value == 1 and most > 1 else min(HEADS, value)
        else:
            small[name] = min(value, 2 * HEADS if grouped else HEADS)
    return small
