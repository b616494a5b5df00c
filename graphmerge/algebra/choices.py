"""What an axis chooses when the letters of its expression choose: its segment, and which letter each factor is."""

from __future__ import annotations

import math
from collections.abc import Mapping

from graphmerge.algebra.equation import AxisExpr, Window, length_of, letter_of
from graphmerge.algebra.structure import Choice

LetterKey = tuple[str, int]  # a letter, and which of its factors
Factors = tuple[tuple[int, int], ...]


def aligned(factors: Factors, spelled: Factors, keys: list[LetterKey]) -> list[LetterKey | None]:
    """The letter of each factor of an axis; a unit that the letters do not spell has none."""
    named = {f: key for f, key in zip(spelled, keys) if f[0] > 1}
    units = {f: key for f, key in reversed(list(zip(spelled, keys))) if f[0] == 1}
    return [named.get(f) or units.get(f) for f in factors]


def axis_choice(expr: AxisExpr, chosen: dict[str, Choice], sizes: Mapping[str, int]) -> tuple[Choice, list[LetterKey]]:
    """The choice of an axis when its letters make theirs, and the letter of each factor."""
    inner = math.prod(length_of(i, sizes) for i in expr)
    offset, factors, keys = 0, [], []
    for item in expr:
        inner //= length_of(item, sizes)
        choice = chosen[letter_of(item)]
        offset += (choice.offset + (item.start if isinstance(item, Window) else 0)) * inner
        factors += [(n, s * inner) for n, s in choice.factors]
        keys += [(letter_of(item), k) for k in range(len(choice.factors))]
    return Choice(offset, tuple(factors)), keys
