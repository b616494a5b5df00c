"""Text that is nearly a file, for readers that must read it or refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

_MARKS = [": ", "\n", "\n  ", ", ", "{", "}", "[", "]", "- ", "#", "'", '"']
_SLIPS = "{}[]()_+:-.?=@/ \nd0l'\"&*#"


def jumbled(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Words and marks of YAML in any order."""
    return st.lists(words | st.sampled_from(_MARKS), max_size=40).map("".join)


@st.composite
def slipped(draw: Any, entries: Sequence[Any]) -> str:
    """The ``text`` of one of the entries, in which a few characters were changed."""
    text = list(draw(st.sampled_from(entries)).text)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 2))] = draw(st.text(_SLIPS, max_size=3))
    return "".join(text)
