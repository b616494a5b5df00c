"""Reading a recipe: YAML to `Recipe`, every mistake reported at its line and column, all of them together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from graphmerge.errors import RecipeError, SpecError
from graphmerge.recipe.schema import VERSION, Recipe, check_together
from graphmerge.spec.source import Source
from graphmerge.spec.wording import nearest, quoted

Place = tuple[str | int, ...]
_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = ("null", "bool", "int", "float", "str", "timestamp")
_LONGEST: Final = 400  # digits of a number


def read_recipe(path: str | Path) -> Reading:
    """Read a recipe from a file. No file that it names is looked at.

    Raises:
        RecipeError: the file is missing, or says something wrong: file, line, column and what to do, for all mistakes.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(f"cannot read the recipe {path}: {reason}") from None
    return Reading(text, str(path))


def parse_recipe(text: str, name: str = "<text>") -> Recipe:
    """A recipe from its text; ``name`` stands for the file in errors.

    Raises:
        RecipeError: as for `read_recipe`.
    """
    return Reading(text, name).recipe


class Reading:
    """A recipe with the places of its keys, so that what turns out to be wrong later can still be pointed at."""

    def __init__(self, text: str, name: str = "<text>") -> None:
        try:
            self._source = Source(text, name)
        except SpecError as error:
            raise RecipeError(_of_a_recipe(str(error), name)) from None
        self._nodes: dict[Place, yaml.Node] = {}
        try:
            given = self._value(self._source.root, ())
            self._source.finish()
            if not isinstance(given, dict):
                self._source.fail(self._source.root, "a recipe must be a mapping of names to values")
            self.recipe = self._checked(given)
        except SpecError as error:
            raise RecipeError(str(error)) from None

    def refuse(self, mistakes: Iterable[tuple[Place, str]]) -> None:
        """Report mistakes at their places.

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

    def _checked(self, given: dict[str, Any]) -> Recipe:
        try:
            recipe = Recipe.model_validate(given)
        except ValidationError as error:
            self.refuse(self._mistake(details) for details in error.errors(include_url=False))
            raise
        self.refuse(check_together(recipe))
        return recipe

    def _node(self, place: Place) -> yaml.Node:
        """The node at a place, or that of what it would stand in."""
        while place not in self._nodes:
            place = place[:-1]
        return self._nodes[place]

    def _value(self, node: yaml.Node, place: Place) -> Any:
        """Plain data; mistakes of the YAML are noted."""
        self._nodes[place] = node
        if isinstance(node, yaml.MappingNode):
            found = {}
            for key, value in self._source.entries(node, "this"):
                text = self._source.text(key, "a key")
                found[text] = self._value(value, (*place, text))
                self._nodes[(*place, text, "")] = key  # where the key itself stands
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*place, n)) for n, item in enumerate(node.value)]
        with self._source.collecting():
            return self._scalar(node)
        return None

    def _scalar(self, node: yaml.Node) -> Any:
        text, kind = self._source.text(node, "a value"), node.tag.removeprefix(_TAG)
        if kind not in _SCALARS:
            self._source.fail(node, f"tags like {quoted(node.tag)} are not part of a recipe; write plain text")
        if kind in ("int", "float") and len(text) > _LONGEST:
            self._source.fail(node, f"a number of {len(text):,} digits; none here needs more than {_LONGEST}")
        if kind in ("str", "timestamp"):
            return text
        try:
            return yaml.SafeLoader("").construct_object(yaml.ScalarNode(node.tag, text))
        except (ValueError, yaml.YAMLError):
            return text

    def _mistake(self, details: ErrorDetails) -> tuple[Place, str]:
        """A mistake that pydantic found, in our words."""
        place, kind = _place(details["loc"], self._nodes), details["type"]
        what = _named(place)
        limits: Mapping[str, Any] = details.get("ctx", {})
        given = details["input"]
        match kind:
            case "extra_forbidden":
                known = _keys(place[:-1])
                hint = nearest(str(place[-1]), known) or f"; {_named(place[:-1])} may have {', '.join(known)}"
                return (*place, ""), f"unknown key {quoted(str(place[-1]))}{hint}"
            case "missing":
                parent = _named(place[:-1])
                return place[:-1], f"{parent} needs {str(place[-1])!r}: {_meaning(place)}"
            case "literal_error":
                known = [str(value) for value in re.findall(r"'?([^',\s]+)'?(?:,| or |$)", limits["expected"])]
                if place == ("recipe",):
                    return place, f"this is version {_shown(given)} of the notation; {VERSION} is the only one"
                hint = nearest(str(given), known) or f"; it is one of {', '.join(known)}"
                return place, f"{what} is {_shown(given)}, which is unknown{hint}"
            case "greater_than_equal":
                return place, f"{what} must be {limits['ge']} or more, not {_shown(given)}"
            case "less_than_equal" | "less_than":
                most = limits.get("le", limits.get("lt", 1) - 1)
                return place, f"{what} must be {most:,} or less, not {_shown(given)}"
            case "too_short":
                return place, f"{what} needs {limits['min_length']} entries or more, not {limits['actual_length']}"
            case "value_error":
                return place, f"{what} {limits['error']}"
        wanted = next((words for start, words in _WANTED.items() if kind.startswith(start)), details["msg"])
        return place, f"{what} must be {wanted}, not {_shown(given)}"


_WANTED: Final = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text (in quotes, if it looks like a number)",
    "list": "a list, as in [a, b]",
    "dict": "a mapping of names to values",
    "model": "a mapping of names to values",
}


def _of_a_recipe(text: str, name: str) -> str:
    """An error about the YAML itself, in which the reader of specs calls the file a spec."""
    place, message = text[: len(name)], text[len(name) :]
    message = message.replace("a spec starts with 'graphmerge: 1'", f"a recipe starts with 'recipe: {VERSION}'")
    return place + message.replace("a spec", "a recipe")


def _place(given: Place, known: Mapping[Place, yaml.Node]) -> Place:
    """The place without what pydantic adds to it for one of several types."""
    return tuple(part for n, part in enumerate(given) if n == 0 or not _is_type(given, n, known))


def _is_type(given: Place, n: int, known: Mapping[Place, yaml.Node]) -> bool:
    return False if given[: n + 1] in known else isinstance(given[n], str) and "[" in str(given[n])


def _named(place: Place) -> str:
    """A place as people say it: ``merge.exceptions[0].weights``.

    >>> _named(("merge", "exceptions", 0, "weights")), _named(())
    ("'merge.exceptions[0].weights'", 'a recipe')
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return quoted(text.removeprefix(".")) if place else "a recipe"


def _section(place: Place) -> type[BaseModel] | None:
    """The section that stands at a place, if one does."""
    section: type[BaseModel] | None = Recipe
    for part in place:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part) if section is not None else None
        section = None if field is None else next(_sections(field.annotation), None)
    return section


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return iter([annotation])
    return (found for part in get_args(annotation) for found in _sections(part))


def _keys(place: Place) -> list[str]:
    section = _section(place)
    return [] if section is None else list(section.model_fields)


def _meaning(place: Place) -> str:
    section = _section(place[:-1])
    field = None if section is None else section.model_fields.get(str(place[-1]))
    text = "" if field is None else str(field.description)
    return text.rstrip(".").replace("`", "")


def _shown(given: Any) -> str:
    """A value of the file as an error shows it."""
    if isinstance(given, dict | list):
        return "a mapping" if isinstance(given, dict) else "a list"
    if given is None or isinstance(given, bool):
        return "nothing" if given is None else str(given).lower()
    return quoted(given) if isinstance(given, str) else str(given)[:60]
