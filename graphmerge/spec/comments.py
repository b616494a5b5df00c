"""Comments of a spec file, so that reading a file and writing it again keeps them.

YAML libraries drop comments, or keep them in trees of their own; here they are what lies between the tokens. A comment
belongs to the entry in whose line it stands, or to the next entry below it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

END = "end"  # what comments below the last entry belong to


@dataclass(frozen=True, slots=True)
class Comment:
    """Lines above an entry, and what stands beside it; with their ``#``."""

    above: tuple[str, ...] = ()
    beside: str = ""


def comments_of(text: str, anchors: Mapping[int, str]) -> dict[str, Comment]:
    """The comments of a file by the entry that they belong to; ``anchors`` are the entries by their lines, from 0."""
    above: dict[str, list[str]] = {}
    beside: dict[str, list[str]] = {}
    starts = sorted(anchors)
    for line, alone, comment in _comments(text):
        if not alone and line in anchors:
            beside.setdefault(anchors[line], []).append(comment)
            continue
        place = bisect.bisect_left(starts, line)
        name = anchors[starts[place]] if place < len(starts) else END
        above.setdefault(name, []).append(comment)
    return {name: Comment(tuple(above.get(name, ())), " ".join(beside.get(name, ()))) for name in above | beside}


def with_comments(lines: Sequence[str], comment: Comment | None) -> Iterator[str]:
    """The lines of an entry with its comments."""
    if comment is None:
        yield from lines
        return
    indent = " " * (len(lines[0]) - len(lines[0].lstrip()))
    yield from (f"{indent}{line}" for line in comment.above)
    yield f"{lines[0]}  {comment.beside}" if comment.beside else lines[0]
    yield from lines[1:]


def _comments(text: str) -> Iterator[tuple[int, bool, str]]:
    """Line, whether nothing else stands in it, and text of every comment."""
    for start, end in _gaps(text):
        at = text.find("#", start, end)
        while at >= 0:
            stop = text.find("\n", at)
            stop = len(text) if stop < 0 else stop
            first = text.rfind("\n", 0, at) + 1
            if at == first or text[at - 1] in " \t":
                yield text.count("\n", 0, at), not text[first:at].strip(), text[at:stop].rstrip()
            at = text.find("#", stop, end)


def _gaps(text: str) -> Iterable[tuple[int, int]]:
    """What lies between the tokens, by first and last place."""
    end = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        start = token.start_mark.index
        if start > end:
            yield end, start
        end = max(end, token.end_mark.index)
    yield end, len(text)
