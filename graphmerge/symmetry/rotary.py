"""What a rotary table leaves of the freedom of queries and keys: one complex number for each frequency pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from graphmerge.symmetry.blocks import Block
from graphmerge.symmetry.groups import Group


@dataclass(frozen=True)
class Rotary:
    """Axes that are pinned for permutations, on which maps that commute with the rotary rotation may act.

    ``group`` has the kind ``rotary``; its units 2p and 2p+1 are the p-th frequency pair, and an element is a complex
    number for each pair and each joint unit of ``group.over``. ``layout`` says where, as `Symmetry.layout` does for
    groups of permutations: queries are primal, keys dual.
    """

    group: Group
    layout: Mapping[str, tuple[Block, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", MappingProxyType(dict(self.layout)))
