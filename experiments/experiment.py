"""The notation of an experiment: several ways of matching, each a fragment of a recipe, on one or more sets of models.

What stands under ``common`` holds for all, a set adds its models and data, a variant how they are matched. All together
is a recipe (`graphmerge.recipe.schema`), whose own checks apply to every key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from graphmerge.errors import RecipeError
from graphmerge.recipe.document import Document, Place
from graphmerge.recipe.mistakes import Mistakes
from graphmerge.recipe.schema import Recipe, Section, Text, check_together
from graphmerge.spec.wording import nearest, quoted

VERSION: Final = 1
NOUN: Final = "an experiment"
VANILLA: Final = "vanilla"  # the models as they are: always measured, so no variant is called that
POINTS: Final = 21
OF_VARIANTS: Final = ("groups", "calibration", "match")
OF_COMMON: Final = (
    *OF_VARIANTS, "spec", "evaluation", "seed", "threads", "device", "trust_remote_code", "allow_different_tokenizers",
)  # fmt: skip
OF_SETS: Final = ("models", "shape", "heat", *OF_COMMON)

Fragment = dict[Text, Any]


class Experiment(Section):
    """What stands in a file; the fragments are looked at when they are put together."""

    experiment: Literal[1] = Field(description="The version of this notation: 1.")
    title: Text = Field(description="What is compared, in a line.")
    about: Text = Field(description="Which table or figure of the paper this is, and what was found there.")
    common: Fragment = Field(default={}, description="Keys of a recipe that hold for all.")
    sets: Annotated[dict[Text, Fragment], Field(min_length=1)] = Field(
        description="Sets of models by name: `models`, and keys of a recipe."
    )
    variants: Annotated[dict[Text, Fragment], Field(min_length=1)] = Field(
        description="Ways of matching by name: `groups`, `match` and `calibration` of a recipe."
    )


@dataclass(frozen=True)
class ModelSet:
    """The models of one set and a recipe for each variant; its models are the first two of the set.

    ``shape`` is a class of transformers and arguments of its config: what the models are built like, for whoever has no
    network. ``heat`` names variants, and of each the group whose correlations are kept for the first pair.
    """

    name: str
    models: tuple[str, ...]
    recipes: Mapping[str, Recipe]
    shape: Mapping[str, Any] | None = None
    heat: Mapping[str, str] = field(default_factory=dict)

    @property
    def common(self) -> Recipe:
        """The recipe of any variant, for what all variants share."""
        return next(iter(self.recipes.values()))


@dataclass(frozen=True)
class Plan:
    """An experiment that was read: ``sets`` in the order of the file; its paths are relative to ``folder``."""

    name: str
    folder: Path
    title: str
    about: str
    sets: tuple[ModelSet, ...] = field(default=())


def read_experiment(path: str | Path) -> Plan:
    """Read an experiment from a file; none of the files that it names is looked at.

    Raises:
        RecipeError: the file is missing, or says something wrong: file, line, column and what to do, for all mistakes.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(f"cannot read the experiment {path}: {reason}") from None
    reading = _Reading(text, str(path))
    found = reading.experiment
    return Plan(path.stem, path.parent, found.title, found.about, tuple(reading.sets()))


class _Reading(Document):
    def __init__(self, text: str, name: str) -> None:
        super().__init__(text, name, NOUN, VERSION)
        words = Mistakes(Experiment, NOUN)
        try:
            self.experiment = Experiment.model_validate(self.given)
        except ValidationError as error:
            self.refuse(words.of(details, self.nodes) for details in error.errors(include_url=False))
            raise
        self.refuse(self._wrong_names())
        self.refuse(self._wrong_keys())

    def sets(self) -> Iterator[ModelSet]:
        """The sets with the recipes of all variants; mistakes of all of them are reported together."""
        mistakes: list[tuple[Place, str]] = []
        found: list[ModelSet] = []
        for name, own in self.experiment.sets.items():
            recipes = {}
            for variant in self.experiment.variants:
                recipe = self._recipe(name, variant, mistakes)
                if recipe is not None:
                    recipes[variant] = recipe
            found.append(ModelSet(name, tuple(map(str, own["models"])), recipes, own.get("shape"), own.get("heat", {})))
        self.refuse(mistakes)
        yield from found

    def _wrong_names(self) -> Iterator[tuple[Place, str]]:
        for name in self.experiment.sets:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
                yield ("sets", name, ""), f"the name of a set becomes a file's: a-z, 0-9 and -, not {quoted(name)}"
        if VANILLA in self.experiment.variants:
            yield ("variants", VANILLA, ""), f"{VANILLA!r} is measured beside every variant; remove it"

    def _wrong_keys(self) -> Iterator[tuple[Place, str]]:
        given = self.experiment
        fragments = [(("common",), given.common, OF_COMMON)]
        fragments += [(("sets", name), own, OF_SETS) for name, own in given.sets.items()]
        fragments += [(("variants", name), own, OF_VARIANTS) for name, own in given.variants.items()]
        for place, fragment, known in fragments:
            for key in fragment:
                if key not in known:
                    hint = nearest(key, known) or f"; there are {', '.join(known)}"
                    yield (*place, key, ""), f"unknown key {quoted(key)}{hint}"
        for name, own in given.sets.items():
            models = own.get("models")
            if not isinstance(models, list) or len(models) < 2 or not all(isinstance(m, str) and m for m in models):
                yield ("sets", name, "models"), f"the set {name!r} needs 'models': a list of two or more"
            elif len({Path(model).name for model in models}) < len(models):
                yield ("sets", name, "models"), "the last parts of the models' names must differ"
            shape = own.get("shape")
            if shape is not None and (not isinstance(shape, dict) or not isinstance(shape.get("class"), str)):
                yield ("sets", name, "shape"), "'shape' is a mapping with 'class', a class of transformers"
            heat = own.get("heat", {})
            if not isinstance(heat, dict) or not all(isinstance(group, str) for group in heat.values()):
                yield ("sets", name, "heat"), "'heat' is a mapping of variants to groups"
            elif unknown := [variant for variant in heat if variant not in given.variants]:
                yield ("sets", name, "heat", unknown[0], ""), f"there is no variant {quoted(unknown[0])}"
            if "evaluation" not in given.common and "evaluation" not in own:
                yield ("sets", name, ""), f"the set {name!r} needs 'evaluation': the data that losses are measured on"

    def _recipe(self, name: str, variant: str, mistakes: list[tuple[Place, str]]) -> Recipe | None:
        given = self.experiment
        own = {key: value for key, value in given.sets[name].items() if key in OF_COMMON}
        data: Any = {"recipe": 1, "output": "unused", "evaluation": {"points": POINTS}}
        for fragment in (given.common, own, given.variants[variant]):
            data = layered(data, fragment)
        data["models"] = given.sets[name]["models"][:2]
        layers = (("variants", variant), ("sets", name), ("common",))
        try:
            recipe = Recipe.model_validate(data)
        except ValidationError as error:
            words = Mistakes(Recipe, f"{name} matched by {variant!r}")
            for details in error.errors(include_url=False):
                place, message = words.of(details, self.nodes)
                mistakes.append((self._where(place, layers), message))
            return None
        mistakes += [(self._where(place, layers), message) for place, message in check_together(recipe)]
        return recipe

    def _where(self, place: Place, layers: tuple[Place, ...]) -> Place:
        """The place of a recipe's key in the innermost layer that has it."""
        while place:
            for layer in layers:
                if (*layer, *place) in self.nodes:
                    return (*layer, *place)
            place = place[:-1]
        return (*layers[0], "")


def layered(below: Any, above: Any) -> Any:
    """Mappings are laid over each other key by key; anything else replaces what is below.

    >>> layered({"match": {"method": "weights", "sweeps": 3}}, {"match": {"method": "activations"}})
    {'match': {'method': 'activations', 'sweeps': 3}}
    """
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: layered(below[key], value) if key in below else value for key, value in above.items()}}
