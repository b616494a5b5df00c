"""What a group is for, as its name says: the last part of a name is the role that the derivation found in the ops."""

from __future__ import annotations

import re
from typing import Final

RESIDUAL: Final = "residual"
HEADS: Final = ("heads", "query_heads")
QUERY_KEY, VALUE = "qk", "v"
# words that name groups by several roles at once
WORDS: Final = {"attention": (*HEADS, QUERY_KEY, VALUE)}


def kind(name: str) -> str:
    """The last part of a name: what is alike in all layers."""
    return name.rpartition(".")[2]


def role(name: str) -> str:
    """The kind, without the number that tells apart groups that would have one name.

    >>> role("layers.0.v"), role("layers.0.heads_2"), role("mixer.in_proj")
    ('v', 'heads', 'in_proj')
    """
    return re.sub(r"_\d+$", "", kind(name))
