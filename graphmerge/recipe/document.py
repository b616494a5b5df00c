"""YAML as plain data with the places of its keys, so that what is wrong can be pointed at, now or later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import yaml

from graphmerge.errors import RecipeError, SpecError
from graphmerge.spec.source import Source
from graphmerge.spec.wording import quoted

Place = tuple[str | int, ...]
_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = ("null", "bool", "int", "float", "str", "timestamp")
_LONGEST: Final = 400  # digits of a number


class Document:
    """A mapping of names to values from YAML text; ``given`` is the plain data.

    ``noun`` is what errors call it, with its article: a file of that kind starts with the word and its version.
    """

    def __init__(self, text: str, name: str, noun: str, version: int) -> None:
        self.noun = noun
        try:
            self._source = Source(text, name)
        except SpecError as error:
            raise RecipeError(_in_words_of(str(error), name, noun, version)) from None
        self.nodes: dict[Place, yaml.Node] = {}
        try:
            self.given = self._value(self._source.root, ())
            self._source.finish()
            if not isinstance(self.given, dict):
                self._source.fail(self._source.root, f"{noun} must be a mapping of names to values")
        except SpecError as error:
            raise RecipeError(str(error)) from None

    def refuse(self, mistakes: Iterable[tuple[Place, str]]) -> None:
        """Report mistakes at their places, or at the places of what they would stand in.

        Raises:
            RecipeError: there are some.
        """
        try:
            for place, message in mistakes:
                with self._source.collecting():
                    self._source.fail(self._node(place), message)
            self._source.finish()
        except SpecError as error:
            raise RecipeError(str(error)) from None

    def _node(self, place: Place) -> yaml.Node:
        while place not in self.nodes:
            place = place[:-1]
        return self.nodes[place]

    def _value(self, node: yaml.Node, place: Place) -> Any:
        """Plain data; mistakes of the YAML are noted."""
        self.nodes[place] = node
        if isinstance(node, yaml.MappingNode):
            found = {}
            for key, value in self._source.entries(node, "this"):
                text = self._source.text(key, "a key")
                found[text] = self._value(value, (*place, text))
                self.nodes[(*place, text, "")] = key  # where the key itself stands
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*place, n)) for n, item in enumerate(node.value)]
        with self._source.collecting():
            return self._scalar(node)
        return None

    def _scalar(self, node: yaml.Node) -> Any:
        text, kind = self._source.text(node, "a value"), node.tag.removeprefix(_TAG)
        if kind not in _SCALARS:
            self._source.fail(node, f"tags like {quoted(node.tag)} are not part of {self.noun}; write plain text")
        if kind in ("int", "float") and len(text) > _LONGEST:
            self._source.fail(node, f"a number of {len(text):,} digits; none here needs more than {_LONGEST}")
        if kind in ("str", "timestamp"):
            return text
        try:
            return yaml.SafeLoader("").construct_object(yaml.ScalarNode(node.tag, text))
        except (ValueError, yaml.YAMLError):
            return text


def _in_words_of(text: str, name: str, noun: str, version: int) -> str:
    """An error about the YAML itself, in which the reader of specs calls the file a spec."""
    place, message = text[: len(name)], text[len(name) :]
    word = noun.rpartition(" ")[2]
    message = message.replace("a spec starts with 'graphmerge: 1'", f"{noun} starts with '{word}: {version}'")
    return place + message.replace("a spec", noun)
