"""Lists of names inside error messages."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[str], limit: int = 3) -> str:
    """The first names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    names = list(names)
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
