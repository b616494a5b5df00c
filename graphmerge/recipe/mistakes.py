"""What pydantic finds wrong, in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from graphmerge.recipe.document import Place
from graphmerge.spec.wording import nearest, quoted


@dataclass(frozen=True)
class Mistakes:
    """Words for the mistakes of a text of one schema; ``noun`` is what the text is called, with its article."""

    schema: type[BaseModel]
    noun: str

    def of(self, details: ErrorDetails, nodes: Mapping[Place, yaml.Node]) -> tuple[Place, str]:
        """A mistake that pydantic found, in our words."""
        place, kind = _place(details["loc"], nodes), details["type"]
        what = self._named(place)
        limits: Mapping[str, Any] = details.get("ctx", {})
        given = details["input"]
        match kind:
            case "extra_forbidden":
                known = self._keys(place[:-1])
                hint = nearest(str(place[-1]), known) or f"; {self._named(place[:-1])} may have {', '.join(known)}"
                return (*place, ""), f"unknown key {quoted(str(place[-1]))}{hint}"
            case "missing":
                parent = self._named(place[:-1])
                return place[:-1], f"{parent} needs {str(place[-1])!r}: {self._meaning(place)}"
            case "literal_error":
                known = [str(value) for value in re.findall(r"'?([^',\s]+)'?(?:,| or |$)", limits["expected"])]
                if place == (self.noun.rpartition(" ")[2],):
                    only = limits["expected"]
                    return place, f"this is version {_shown(given)} of the notation; {only} is the only one"
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

    def _named(self, place: Place) -> str:
        return named(place) if place else self.noun

    def _section(self, place: Place) -> type[BaseModel] | None:
        """The section that stands at a place, if one does."""
        section: type[BaseModel] | None = self.schema
        for part in place:
            if isinstance(part, int):
                continue
            field = section.model_fields.get(part) if section is not None else None
            section = None if field is None else next(_sections(field.annotation), None)
        return section

    def _keys(self, place: Place) -> list[str]:
        section = self._section(place)
        return [] if section is None else list(section.model_fields)

    def _meaning(self, place: Place) -> str:
        section = self._section(place[:-1])
        field = None if section is None else section.model_fields.get(str(place[-1]))
        text = "" if field is None else str(field.description)
        return text.rstrip(".").replace("`", "")


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


def _place(given: Place, known: Mapping[Place, yaml.Node]) -> Place:
    """The place without what pydantic adds to it for one of several types."""
    return tuple(part for n, part in enumerate(given) if n == 0 or not _is_type(given, n, known))


def _is_type(given: Place, n: int, known: Mapping[Place, yaml.Node]) -> bool:
    return False if given[: n + 1] in known else isinstance(given[n], str) and "[" in str(given[n])


def named(place: Place) -> str:
    """A place as people say it: ``merge.exceptions[0].weights``.

    >>> named(("merge", "exceptions", 0, "weights"))
    "'merge.exceptions[0].weights'"
    """
    return quoted("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix("."))


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return iter([annotation])
    return (found for part in get_args(annotation) for found in _sections(part))


def _shown(given: Any) -> str:
    """A value of the file as an error shows it."""
    if isinstance(given, dict | list):
        return "a mapping" if isinstance(given, dict) else "a list"
    if given is None or isinstance(given, bool):
        return "nothing" if given is None else str(given).lower()
    return quoted(given) if isinstance(given, str) else str(given)[:60]
