"""A spec file as YAML nodes that know their line and column, so that every error can say where it is."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Never

import yaml

from graphmerge.errors import SpecError
from graphmerge.spec.notation import LETTER, NotationError

# YAML reads a brace inside {...} as a mapping of its own. Letters like {l} are masked, one character for one, before
# parsing, so that `{size: 64, over: layers.{l}.heads}` needs no quotes and columns stay right.
_OPEN, _CLOSE = "\ue000", "\ue001"


class Source:
    """One spec text: its nodes, and errors that point into it."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        masked = LETTER.sub(rf"{_OPEN}\1{_CLOSE}", text)
        try:
            root = yaml.compose(masked, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
            raise SpecError(f"{name}:{where}: not YAML: {error.problem or error.context}") from None
        except yaml.reader.ReaderError as error:
            raise SpecError(f"{name}:1:1: not text: {error.reason} at position {error.position}") from None
        if root is None:
            raise SpecError(f"{name}:1:1: the file is empty; a spec starts with 'graphmerge: 1'")
        self.root: yaml.Node = root

    def place(self, node: yaml.Node, column: int = 0) -> str:
        """``file:line:column`` of a node, or of a column in its text."""
        mark = node.start_mark
        quote = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
        return f"{self.name}:{mark.line + 1}:{mark.column + 1 + column + (quote and column > 0)}"

    def fail(self, node: yaml.Node, message: str, column: int = 0) -> Never:
        """Raise a SpecError that points at a node."""
        raise SpecError(f"{self.place(node, column)}: {message}")

    def refuse(self, node: yaml.Node, error: NotationError) -> Never:
        """Raise a SpecError that points at the place in a node where its notation goes wrong."""
        raise SpecError(f"{self.place(node, error.column)}: {error}") from None

    def text(self, node: yaml.Node, what: str) -> str:
        """The text of a scalar."""
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, f"{what} must be text")
        return node.value.replace(_OPEN, "{").replace(_CLOSE, "}")

    def number(self, node: yaml.Node, what: str) -> int:
        """A whole number of 1 or more."""
        text = self.text(node, what)
        if not re.fullmatch(r"[1-9]\d*", text):
            self.fail(node, f"{what} must be a whole number of 1 or more, not {text!r}")
        return int(text)

    def range(self, node: yaml.Node, what: str) -> range:
        """Numbers as in ``0..11``, both ends included."""
        text = self.text(node, what)
        found = re.fullmatch(r"(\d+)\.\.(\d+)", text)
        if not found or int(found[1]) > int(found[2]):
            self.fail(node, f"{what} must be a range like 0..11, both ends included, not {text!r}")
        return range(int(found[1]), int(found[2]) + 1)

    def entries(self, node: yaml.Node, what: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        """Keys and values of a mapping, in order; a key that comes twice is an error."""
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} must be a mapping of names to values")
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            text = self.text(key, "a key")
            if text in first:
                line = first[text].start_mark.line + 1
                self.fail(key, f"{text!r} stands here for the second time (first in line {line}); keep one")
            first[text] = key
        return node.value

    def fields(self, node: yaml.Node, what: str, known: Collection[str]) -> dict[str, yaml.Node]:
        """A mapping that may only have the keys ``known``."""
        found = {}
        for key, value in self.entries(node, what):
            text = self.text(key, "a key")
            if text not in known:
                self.fail(key, f"unknown key {text!r}; {what} may have {', '.join(known)}")
            found[text] = value
        return found

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The items of a list."""
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what} must be a list")
        return node.value
