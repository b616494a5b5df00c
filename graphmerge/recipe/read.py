"""Reading a recipe: YAML to `Recipe`, every mistake reported at its line and column, all of them together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from graphmerge.errors import RecipeError
from graphmerge.recipe.document import Document
from graphmerge.recipe.mistakes import Mistakes
from graphmerge.recipe.schema import VERSION, Recipe, check_together

NOUN: Final = "a recipe"


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


class Reading(Document):
    """A recipe with the places of its keys, so that what turns out to be wrong later can still be pointed at."""

    def __init__(self, text: str, name: str = "<text>") -> None:
        super().__init__(text, name, NOUN, VERSION)
        try:
            self.recipe = Recipe.model_validate(self.given)
        except ValidationError as error:
            words = Mistakes(Recipe, NOUN)
            self.refuse(words.of(details, self.nodes) for details in error.errors(include_url=False))
            raise
        self.refuse(check_together(self.recipe))
