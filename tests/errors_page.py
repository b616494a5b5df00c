"""Writes docs/errors.md from the tables of malformed files that the tests pin: ``python -m tests.errors_page``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.recipe.malformed import MALFORMED_RECIPES
from tests.resolve.malformed import MALFORMED_OVERRIDES
from tests.spec.malformed import MALFORMED, Malformed

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
READ_FOR = (
    "They are read for a BERT of two layers, whose groups are `residual` (15 units) and, in every layer,\n"
    "`layers.{l}.heads` (3), `.qk` and `.v` (5, over the heads) and `.ffn` (7). The numbers are measured on it."
)
SECTIONS = (
    ("Permutation specs", "", MALFORMED),
    ("Changes of what is derived", READ_FOR, MALFORMED_OVERRIDES),
    ("Recipes", "", MALFORMED_RECIPES),
)


def page() -> str:
    """The page."""
    return "\n".join(
        [
            "# What is said about files that are wrong",
            "",
            "Every error names the file, line and column, what is wrong, and what to write instead; several are",
            "reported together. This page is written from the tables that the tests hold the program to, by",
            "`python -m tests.errors_page`.",
            *(line for section in SECTIONS for line in _section(*section)),
            "",
        ]
    )


def _section(title: str, about: str, table: Sequence[Malformed]) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"{len(table)} files, each with its error.", *([about] if about else []))
    for entry in table:
        yield from ("", "```yaml", entry.text.rstrip("\n") or "# an empty file", "```")
        if entry.config is not None:
            settings = ", ".join(f"`{name}: {value}`" for name, value in entry.config.items())
            yield from ("", f"(read for a model whose config says {settings})")
        yield from ("", "```", entry.error, "```")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
