"""Templates over words: ``LayerNorm.{n}`` stands for its weight and its bias, ``self.{p}.weight`` for query and key.

What `repeat.fold` does for numbered layers, done for neighbours whose axes are the same and whose names differ in one
word. ``expand`` undoes it, order and all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from graphmerge.spec.notation import LETTER
from graphmerge.spec.repeat import Letters

Entry = Sequence[Any]  # a name, and what stands beside it

# A longer body is nothing that a reader would call a repeat; this one is query's weight and bias, then key's.
_LONGEST: Final = 4
_WORD = re.compile(r"[A-Za-z_][\w-]*")


def fold_words(entries: Sequence[Entry], letters: Letters, depth: int = 0) -> list[Entry]:
    """Shorter templates for ``entries``; greedy from left to right, the loop that covers most entries first."""
    folded: list[Entry] = []
    previous = ""  # the letter of the loop that ends right before here
    at = 0
    while at < len(entries):
        loops = [(period, _words(entries, at, period)) for period in range(1, _LONGEST + 1)]
        period, words = max(loops, key=lambda loop: (loop[0] * len(loop[1]), -loop[0]))
        if not words:
            folded.append(entries[at])
            previous, at = "", at + 1
            continue
        body, following = entries[at : at + period], entries[at + period : at + 2 * period]
        places = _places(body, following)
        letter = letters.pick_words(words, depth, is_last=_all_last(body, places), avoid={previous})
        templates = [[_replaced(name, place, f"{{{letter}}}"), said] for (name, said), place in zip(body, places)]
        folded += fold_words(templates, letters, depth + 1)
        previous, at = letter, at + period * len(words)
    return folded


def _words(entries: Sequence[Entry], at: int, period: int) -> list[str]:
    """The words by which the ``period`` entries from ``at`` on come again and again, at least two; else none."""
    body, following = entries[at : at + period], entries[at + period : at + 2 * period]
    places = _places(body, following)
    loops = {frozenset(LETTER.findall(name)) for name, _ in body}
    if len(places) < period or len(loops) > 1:  # other letters would loop outside of this one
        return []
    if not any(loops) and not _all_last(body, places):
        return []  # modules that come once, like embeddings, read better by their full names
    words: list[str] = []
    for start in range(at, len(entries) - period + 1, period):
        block = entries[start : start + period]
        found = {_parts(name)[place] for (name, _), place in zip(block, places) if place < len(_parts(name))}
        word = found.pop() if len(found) == 1 else ""
        if not _WORD.fullmatch(word) or word in words:
            break
        if block != [[_replaced(name, place, word), said] for (name, said), place in zip(body, places)]:
            break
        words.append(word)
    return words if len(words) > 1 else []


def _all_last(body: Sequence[Entry], places: Sequence[int]) -> bool:
    """Whether it is the last component of every name that differs."""
    return all(place == len(_parts(name)) - 1 for place, (name, _) in zip(places, body))


def _parts(name: str) -> list[str]:
    return name.removesuffix("?").split(".")


def _places(body: Sequence[Entry], following: Sequence[Entry]) -> list[int]:
    """Which component of each name differs in the entry that follows for it, as far as that is one."""
    found = [_place(name, other) for (name, _), (other, _) in zip(body, following)]
    return [place for place in found if place is not None]


def _place(name: str, other: str) -> int | None:
    """Which component of two names differs, if just one does."""
    parts, others = _parts(name), _parts(other)
    where = [k for k, (a, b) in enumerate(zip(parts, others)) if a != b]
    return where[0] if len(where) == 1 and len(parts) == len(others) else None


def _replaced(name: str, place: int, word: str) -> str:
    parts = _parts(name)
    return ".".join([*parts[:place], word, *parts[place + 1 :]]) + "?" * name.endswith("?")
