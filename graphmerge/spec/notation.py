"""The notation for the axes of a tensor, after einops: text, syntax tree, and the segments of units that it means.

``(layers.0.heads layers.0.qk) residual`` has two axes. In an axis

- a name is a factor: the units of that group (or named pin);
- ``(a b)`` is a product, row-major: the last factor runs fastest;
- ``a + b`` is a sum: the units of ``a``, then those of ``b``; inside a product a sum stands in parentheses of its own,
  ``(heads (qk + qk + v))``;
- ``_`` is a whole axis that stays as it is, of any length; ``_64`` is a fixed factor or segment of 64 units, and
  ``-64`` leaves 64 units out altogether: nothing moves them, not even along the tensor's other axes.

Rarely needed: ``pixels/0:3`` and ``pixels/1:4`` are the outer and inner part of a group of 3 × 4 pairs, where they
stand apart; ``v@2`` says that the second ``heads`` of this tensor chooses the permutation of ``v`` (``@1,2`` for a
group over two others), where it is not the only one on the axis of ``v``; a name with blanks or brackets stands in
backquotes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from graphmerge.spec.quantities import LARGEST
from graphmerge.spec.wording import quoted
from graphmerge.symmetry import UNKNOWN, Run

LETTER = re.compile(r"\{([A-Za-z]\w*)\}")
_TOKEN = re.compile(r"\s*(?:([()+])|(`[^`]*`|[^\s()+@/`]+)(?:/(\d+):(\d+))?(?:@(\d+(?:,\d+)*))?)")
_PLAIN = re.compile(r"(?!_\d*$|-\d+$)[^\s()+@/`]+")


DEEPEST: Final = 20  # parentheses in parentheses
LONGEST: Final = 4096  # names in one text
ALPHABET: Final = "axes are written with names, '_', '+' and '( )'"


class NotationError(Exception):
    """Text that is no notation, or sizes that do not fit; ``column`` counts from 0 in the text.

    ``name`` is the one that the error is about, if it is about one that is not declared.
    """

    def __init__(self, message: str, column: int, name: str | None = None) -> None:
        super().__init__(message)
        self.column = column
        self.name = name


@dataclass(frozen=True, slots=True)
class Fixed:
    """Units that stay: ``_64``; ``_`` (a whole axis) has no size."""

    size: int | None
    column: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "_" if self.size is None else f"_{self.size}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Units that are left out: ``-64``."""

    size: int
    column: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"-{self.size}"


@dataclass(frozen=True, slots=True)
class Name:
    """The units of a group or a named pin; ``part`` = (which, its size) where only one factor of its pairs is meant.

    ``at`` says which of the factors of each base, counted from 1 in the block, chooses the permutation.
    """

    text: str
    part: tuple[int, int] | None = None
    at: tuple[int, ...] = ()
    column: int = field(default=0, compare=False)

    def __str__(self) -> str:
        text = self.text if _PLAIN.fullmatch(self.text) else f"`{self.text}`"
        text += f"/{self.part[0]}:{self.part[1]}" if self.part else ""
        return text + (f"@{','.join(map(str, self.at))}" if self.at else "")


@dataclass(frozen=True, slots=True)
class Sum:
    """Segments one after the other."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.items))


@dataclass(frozen=True, slots=True)
class Product:
    """Factors, the outermost first."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return f"({' '.join(f'({i})' if isinstance(i, Sum) else str(i) for i in self.items)})"


Node = Fixed | Gap | Name | Sum | Product


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a segment; ``name`` is None where it is fixed."""

    size: int
    stride: int
    name: Name | None


@dataclass(frozen=True, slots=True)
class Segment:
    """Some units of an axis in mixed radix, with what each factor stands for."""

    offset: int
    factors: tuple[Factor, ...]

    @property
    def run(self) -> Run:
        return Run(self.offset, tuple(f.size for f in self.factors), tuple(f.stride for f in self.factors))


def leaves(node: Node) -> Iterator[Fixed | Gap | Name]:
    """The atoms of a tree, from left to right."""
    if isinstance(node, Sum | Product):
        for item in node.items:
            yield from leaves(item)
    else:
        yield node


def fill(node: Node, letters: Mapping[str, object]) -> Node:
    """``node`` with ``{l}`` in its names replaced by what the letter stands for."""
    if isinstance(node, Sum | Product):
        return replace(node, items=tuple(fill(item, letters) for item in node.items))
    return replace(node, text=fill_text(node.text, letters)) if isinstance(node, Name) else node


def fill_text(text: str, letters: Mapping[str, object]) -> str:
    """``text`` with each ``{l}`` of ``letters`` replaced by what it stands for."""
    return LETTER.sub(lambda found: str(letters.get(found[1], found[0])), text)


# -- text to tree ------------------------------------------------------------------------------------------------------


def parse_axes(text: str) -> tuple[Node, ...]:
    """The axes of one tensor.

    Raises:
        NotationError: the text is no notation.
    """
    parser = _Parser(text)
    axes = parser.sequence()
    if parser.here != "":
        raise NotationError("this ')' closes nothing; remove it", parser.column)
    for axis in axes:
        open_parts = [leaf for leaf in leaves(axis) if leaf == Fixed(None)]
        if axis != Fixed(None) and open_parts:
            raise NotationError("a part of an axis needs its size: write '_3' for 3 fixed units", open_parts[0].column)
    return tuple(axes)


class _Parser:
    """Recursive descent over the tokens of one text; ``here`` is the first character of the next one."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip()
        self._next: re.Match[str] | None = None
        self.end = self.depth = self.count = 0
        self._advance()

    def _advance(self) -> None:
        self._next = _TOKEN.match(self.text, self.end)
        if self._next is None and self.text[self.end :].strip():
            raise NotationError(f"cannot read {quoted(self.text[self.end :].strip())}; {ALPHABET}", self.end)
        self.end = self._next.end() if self._next else len(self.text)
        if self._next and self._next[2] and self.text[self.end : self.end + 1] not in ("", " ", "(", ")", "+"):
            raise NotationError(f"cannot read {quoted(self.text[self.end :])}; {ALPHABET}", self.end)

    @property
    def here(self) -> str:
        return (self._next[1] or self._next[2])[0] if self._next else ""

    @property
    def column(self) -> int:
        return self._next.start(1 if self._next[1] else 2) if self._next else self.end

    def sequence(self, inside: bool = False) -> list[Node]:
        """Axes, or the factors of a product, up to a closing parenthesis or the end."""
        found: list[Node] = []
        plus = None
        while self.here not in ("", ")"):
            terms = self._term()
            while self.here == "+":
                plus = self.column
                self._advance()
                terms += self._term()
            found.append(terms[0] if len(terms) == 1 else Sum(tuple(terms)))
        if inside and plus is not None and len(found) > 1:
            raise NotationError("a sum in a product needs parentheses of its own: (a (b + c)) or (a b) + c", plus)
        return found

    def _term(self) -> list[Node]:
        """One term of a sum; the terms of a sum in parentheses stand for themselves."""
        column = self.column
        if self.here in ("", ")", "+"):
            raise NotationError("expected a name, '_' or '(' here", column)
        if self.here != "(":
            return [self._leaf()]
        self._advance()
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotationError(f"more than {DEEPEST} parentheses deep", column)
        items = self.sequence(inside=True)
        self.depth -= 1
        if self.here != ")":
            raise NotationError("this '(' is never closed; end it with ')'", column)
        if not items:
            raise NotationError("nothing stands in these parentheses; remove them", column)
        self._advance()
        if len(items) == 1:
            return list(items[0].items) if isinstance(items[0], Sum) else items
        return [Product(tuple(x for i in items for x in (i.items if isinstance(i, Product) else (i,))))]

    def _leaf(self) -> Node:
        assert self._next is not None
        (_, text, part, size, at), column = self._next.groups(), self.column
        self._advance()
        self.count += 1
        if self.count > LONGEST:
            raise NotationError(f"more than {LONGEST} names; a tensor needs fewer", column)
        if text == "_":
            return Fixed(None, column)
        if found := re.fullmatch(r"([_-])(\d+)", text):
            if int(found[2][:12]) < 1:
                raise NotationError(f"{text[:14]!r} has no units: write a size of 1 or more", column)
            if int(found[2][:12]) > LARGEST:
                raise NotationError(f"{text[:14]!r} is too long: an axis has at most {LARGEST} units", column)
            return (Fixed if found[1] == "_" else Gap)(int(found[2]), column)
        return Name(
            text.strip("`"),
            (int(part[:9]), int(size[:10])) if part else None,
            tuple(map(int, at.split(","))) if at else (),
            column,
        )


# -- tree to units -----------------------------------------------------------------------------------------------------


def segments_of(node: Node, size_of: Callable[[Name], int]) -> tuple[int, list[Segment]]:
    """Length of an axis (`UNKNOWN` for ``_``) and its segments in order; a fixed single unit has no factor."""
    if isinstance(node, Gap):
        return node.size, []
    if isinstance(node, Fixed | Name):
        size = (UNKNOWN if node.size is None else node.size) if isinstance(node, Fixed) else size_of(node)
        name = node if isinstance(node, Name) else None
        return size, [Segment(0, () if name is None and size == 1 else (Factor(size, 1, name),))]
    parts = [segments_of(item, size_of) for item in node.items]
    if isinstance(node, Sum):
        starts = itertools.accumulate((length for length, _ in parts), initial=0)
        found = [replace(s, offset=s.offset + start) for start, (_, own) in zip(starts, parts) for s in own]
        return sum(length for length, _ in parts), found
    length, found = 1, [Segment(0, ())]
    for size, outer in reversed(parts):
        found = [
            Segment(
                o.offset * length + i.offset,
                tuple(Factor(f.size, f.stride * length, f.name) for f in o.factors) + i.factors,
            )
            for o in outer
            for i in found
        ]
        length *= size
    return length, found
