"""Words that errors share: the nearest known name, and texts of the file in quotes."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable
from typing import Final

COMPARED: Final = 3000  # names among which the nearest is looked for
QUOTED: Final = 60  # characters of a text in an error


def nearest(text: str, known: Iterable[str]) -> str:
    """``; did you mean 'layers.0.ffn'?`` if one of the names is like ``text``, else nothing.

    >>> nearest("layers.0.fnn", ["residual", "layers.0.ffn"]), nearest("x", ["residual"])
    ("; did you mean 'layers.0.ffn'?", '')
    """
    if len(text) > QUOTED:
        return ""
    names = [name for name in itertools.islice(known, COMPARED) if len(name) <= 2 * QUOTED]
    found = difflib.get_close_matches(text, names, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def quoted(text: str) -> str:
    """A text of the file as an error shows it: in quotes, and not at any length."""
    return repr(text if len(text) <= QUOTED else text[: QUOTED - 3] + "...")
