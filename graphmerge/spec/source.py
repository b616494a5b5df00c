"""A spec file as YAML nodes that know their line and column, so that every error can say where it is.

Errors are collected: `Source.collecting` goes on behind a mistake, `Source.finish` reports all of them in the order of
the file. What only follows from an earlier mistake (a name whose own entry is wrong) is not reported again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, Never

import yaml
from yaml.composer import ComposerError

from graphmerge.errors import SpecError
from graphmerge.spec.comments import Comment, comments_of
from graphmerge.spec.notation import LETTER, NotationError, fill_text
from graphmerge.spec.quantities import Quantities, QuantityError
from graphmerge.spec.wording import nearest, quoted

# YAML reads a brace inside {...} as a mapping of its own. Letters like {l} are masked, one character for one, before
# parsing, so that `{size: 64, over: layers.{l}.heads}` needs no quotes and columns stay right.
_OPEN, _CLOSE = "\ue000", "\ue001"
LONGEST: Final = 1_000_000  # characters of a file
DEEPEST: Final = 8  # levels of mappings and lists; the notation needs 4
MOST_SHOWN: Final = 20  # errors of one file


class FollowUpError(Exception):
    """What is wrong only because something else is, which has been reported."""


class _Loader(yaml.SafeLoader):
    """Composes nodes, but no aliases (they can stand for billions of nodes) and no depths that exhaust the stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "anchor", None):
            raise ComposerError(
                None, None, "anchors (&) and aliases (*) are not part of a spec; write it out", event.start_mark
            )
        if self.depth >= DEEPEST:
            raise ComposerError(None, None, f"more than {DEEPEST} levels deep; a spec needs fewer", event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class Source:
    """One spec text: its nodes, and errors that point into it. ``quantities`` says what names of sizes stand for."""

    def __init__(self, text: str, name: str, quantities: Quantities | None = None) -> None:
        self.name = name
        self.quantities = quantities or Quantities()
        self._found: dict[tuple[int, int], str] = {}
        self._broken: set[str] = set()
        if len(text) > LONGEST:
            raise SpecError(f"{name}:1:1: the file has {len(text):,} characters; a spec has at most {LONGEST:,}")
        masked = LETTER.sub(rf"{_OPEN}\1{_CLOSE}", text)
        try:
            root = yaml.compose(masked, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
            problem = _unmasked(error.problem or error.context or "")
            hint = "; in {...} and [...] a text with brackets stands in quotes" if problem.endswith("got '['") else ""
            raise SpecError(f"{name}:{where}: not YAML: {problem}{hint}") from None
        except yaml.reader.ReaderError as error:
            raise SpecError(f"{name}:1:1: not text: {error.reason} at position {error.position}") from None
        if root is None:
            raise SpecError(f"{name}:1:1: the file is empty; a spec starts with 'graphmerge: 1'")
        self.root: yaml.Node = root
        self._masked = masked

    # -- errors --------------------------------------------------------------------------------------------------------

    def place(self, node: yaml.Node, column: int = 0) -> str:
        """``file:line:column`` of a node, or of a column in its text."""
        line, where = self._position(node, column)
        return f"{self.name}:{line}:{where}"

    def _position(self, node: yaml.Node, column: int) -> tuple[int, int]:
        mark = node.start_mark
        quote = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
        return mark.line + 1, mark.column + 1 + column + (quote and column > 0)

    def fail(self, node: yaml.Node, message: str, column: int = 0) -> Never:
        """Raise a SpecError that points at a node."""
        error = SpecError(f"{self.place(node, column)}: {message}")
        error.position = self._position(node, column)
        raise error

    def refuse(self, node: yaml.Node, error: NotationError | QuantityError) -> Never:
        """Raise a SpecError that points at the place in a node where its notation goes wrong."""
        self.fail(node, str(error), error.column)

    @contextmanager
    def collecting(self, *names: str) -> Iterator[None]:
        """Note a SpecError that is raised inside, and go on; ``names`` are then known to be broken."""
        try:
            yield
        except FollowUpError:
            self._broken.update(names)
        except SpecError as error:
            self._found.setdefault(error.position or (1, 1), str(error))
            self._broken.update(names)

    def is_broken(self, name: str) -> bool:
        """Was the entry of this name found wrong?"""
        return name in self._broken

    def finish(self) -> None:
        """Raise what was collected, as one error, if anything was."""
        if not self._found:
            return
        places = sorted(self._found)
        lines = [self._found[place] for place in places[:MOST_SHOWN]]
        if len(places) > MOST_SHOWN:
            lines.append(f"{self.name}: and {len(places) - MOST_SHOWN} more errors")
        error = SpecError("\n".join(lines))
        error.position = places[0]
        raise error

    def comments(self, anchors: Mapping[int, str]) -> dict[str, Comment]:
        """The comments of the file by the entry that they belong to; ``anchors`` are the entries by their lines."""
        found = comments_of(self._masked, anchors)
        return {
            name: Comment(tuple(map(_unmasked, comment.above)), _unmasked(comment.beside))
            for name, comment in found.items()
        }

    # -- values --------------------------------------------------------------------------------------------------------

    def text(self, node: yaml.Node, what: str) -> str:
        """The text of a scalar."""
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, f"{what} must be text")
        return _unmasked(node.value)

    def number(self, node: yaml.Node, what: str, letters: Mapping[str, object] = MappingProxyType({})) -> int:
        """A whole number of 1 or more, or what says it in terms of the config."""
        text = fill_text(self.text(node, what), letters)
        try:
            found = self.quantities.number(text)
        except QuantityError as error:
            self.refuse(node, error)
        if found is None or found < 1:
            self.fail(node, f"{what} must be a whole number of 1 or more, not {quoted(text)}{_made(text, found)}")
        return found

    def range(self, node: yaml.Node, what: str) -> range:
        """Numbers as in ``0..11``, both ends included; none at all only where the config says so."""
        text = self.text(node, what)
        try:
            found = self.quantities.range(text)
        except QuantityError as error:
            self.refuse(node, error)
        if found is None:
            self.fail(node, f"{what} must be a range like 0..11, both ends included, not {quoted(text)}")
        return found

    def entries(self, node: yaml.Node, what: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """Keys and values of a mapping, in order; a key that comes twice is an error."""
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} must be a mapping of names to values")
        first: dict[str, yaml.Node] = {}
        found = []
        for key, value in node.value:
            with self.collecting():
                text = self.text(key, "a key")
                if text in first:
                    line = first[text].start_mark.line + 1
                    self.fail(key, f"{quoted(text)} stands here for the second time (first in line {line}); keep one")
                first[text] = key
                found.append((key, value))
        return found

    def fields(self, node: yaml.Node, what: str, known: Collection[str]) -> dict[str, yaml.Node]:
        """A mapping that may only have the keys ``known``."""
        found = {}
        for key, value in self.entries(node, what):
            with self.collecting():
                text = self.text(key, "a key")
                if text not in known:
                    hint = nearest(text, known) or f"; {what} may have {', '.join(known)}"
                    self.fail(key, f"unknown key {quoted(text)}{hint}")
                found[text] = value
        return found

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The items of a list."""
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what} must be a list")
        return node.value


def _unmasked(text: str) -> str:
    return text.replace(_OPEN, "{").replace(_CLOSE, "}")


def _made(text: str, found: int | None) -> str:
    return "" if found is None or re.fullmatch(r"\d+", text) else f" (which is {found})"
