"""Writes the table of keys in docs/recipes.md from the schema: ``python -m tests.recipes_page``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from graphmerge.recipe.schema import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
MARK = "<!-- keys -->\n"


def page() -> str:
    """The page as it should be."""
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return head + MARK + "\n".join(["| key | default | meaning |", "| --- | --- | --- |", *rows(Recipe, "")]) + "\n"


def rows(section: type[BaseModel], before: str) -> Iterator[str]:
    """A row for every key, those of sections behind their own."""
    for name, field in section.model_fields.items():
        inner = next(sections(field.annotation), None)
        default = "" if inner or field.default in (None, PydanticUndefined, []) else f"`{field.default}`"
        default = "required" if field.is_required() else default.replace("`False`", "`false`")
        yield f"| `{before}{name}` | {default} | {field.description} |"
        if inner is not None:
            many = "[]" if "list" in str(field.annotation) else ""
            yield from rows(inner, f"{before}{name}{many}.")


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections(part)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
