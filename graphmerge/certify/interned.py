"""Rows of whole numbers, numbered: equal rows get one number, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def numbered(known: dict[bytes, int], rows: Array, first: int) -> tuple[Array, Array]:
    """The number of each row, (n, k) -> (n,); and the rows not met before, which are numbered from ``first`` on.

    ``known`` has the rows met before, and is completed.
    """
    rows = np.ascontiguousarray(rows, dtype=np.int32)
    keys = _keys(rows)
    numbers = np.fromiter(map(known.get, keys, repeat(-1)), np.int64, len(keys))
    missing = np.flatnonzero(numbers < 0).tolist()
    fresh = list(dict.fromkeys(keys[n] for n in missing))
    if fresh:
        known.update(zip(fresh, range(first, first + len(fresh))))
        numbers[missing] = [known[keys[n]] for n in missing]
    return numbers, np.frombuffer(b"".join(fresh), np.int32).reshape(len(fresh), rows.shape[1])


def _keys(rows: Array) -> list[bytes]:
    if not rows.shape[1]:
        return [b""] * len(rows)
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel().tolist()


class Column:
    """Numbers one after the other, to which many can be added at once."""

    def __init__(self, dtype: Any) -> None:
        self._held = np.empty(1024, dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def all(self) -> Array:
        """What it holds, as a view."""
        return self._held[: self._size]

    def add(self, more: Array | Sequence[int]) -> None:
        """At the end."""
        size = self._size + len(more)
        if size > len(self._held):
            self._held = np.resize(self._held, max(size, 2 * len(self._held)))
        self._held[self._size : size] = more
        self._size = size
