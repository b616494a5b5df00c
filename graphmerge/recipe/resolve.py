"""A recipe with nothing left open: absolute paths, every default, and what its files hash to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import yaml

from graphmerge.checkpoint import digest, factory_file, files_along, is_factory
from graphmerge.device import resolve_device
from graphmerge.recipe.schema import Data, Recipe

HEADER = "# The recipe of this model, with all that was left open: `graphmerge run` makes it again, byte for byte.\n"
Place = tuple[str | int, ...]
FUNCTIONS: tuple[tuple[str, str], ...] = (("match", "loss"), ("evaluation", "loss"))
DATA = ("calibration", "evaluation")


def resolved(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with absolute paths; those that it names are relative to ``folder``. Ids of the hub stay."""
    found = recipe.model_dump()
    found["models"] = [_path(model, folder) for model in recipe.models]
    found["output"] = str((folder / recipe.output).resolve())
    found["device"] = str(resolve_device(recipe.device))
    found["threads"] = recipe.threads or torch.get_num_threads()
    if recipe.spec.endswith((".yaml", ".yml")):
        found["spec"] = str((folder / recipe.spec).resolve())
    if recipe.merge.weights is None:
        found["merge"]["weights"] = [1 / len(recipe.models)] * len(recipe.models)
    for section in DATA:
        if (data := found[section]) is not None:
            data["seed"] = recipe.seed if data["seed"] is None else data["seed"]
            for key in ("source", "tokenizer"):
                data[key] = data[key] and str((folder / data[key]).resolve())
            if data["dataset"] is not None:
                data["dataset"]["name"] = _path(data["dataset"]["name"], folder)
    for section, key in FUNCTIONS:
        if found[section] is not None and found[section][key] is not None:
            found[section][key] = str((folder / found[section][key]).resolve())
    return Recipe.model_validate(found)


def _path(name: str, folder: Path) -> str:
    """A path where there is something, or a factory; else an id."""
    return str((folder / name).resolve()) if is_factory(name) or (folder / name).exists() else name


def recipe_text(recipe: Recipe) -> str:
    """The resolved recipe as it stands beside its output: which directory that is, it does not say."""
    data = recipe.model_dump(exclude_none=True) | {"output": "."}
    return HEADER + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)


def model_digests(model: str, directory: Path | None) -> dict[str, str]:
    """SHA-256 of the files that a model is read from: weights, config, tokenizer; of a factory its Python file."""
    if directory is None:
        return _digests([factory_file(model)]) if is_factory(model) else {}
    return dict(sorted((digest(directory) | _digests(files_along(directory))).items()))


def other_digests(recipe: Recipe) -> Iterator[tuple[Place, dict[str, str]]]:
    """SHA-256 of all other files that a resolved recipe names, with the keys that name them."""
    if recipe.spec.endswith((".yaml", ".yml")):
        yield ("spec",), _digests([Path(recipe.spec)])
    for section, key in FUNCTIONS:
        if (function := getattr(getattr(recipe, section), key, None)) is not None:
            yield (section, key), _digests([factory_file(function)])
    for section in DATA:
        data: Data | None = getattr(recipe, section)
        if data is not None and data.source is not None:
            file = factory_file(data.source) if is_factory(data.source) else Path(data.source)
            yield (section, "source"), _digests([file])
        if data is not None and data.tokenizer is not None:
            yield (section, "tokenizer"), _digests(files_along(Path(data.tokenizer)))


def _digests(files: list[Path]) -> dict[str, str]:
    found = {}
    for file in files:
        with file.open("rb") as stream:
            found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def changed(known: Mapping[str, Mapping[str, str]], found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Which files of a resolved recipe are not what they were when it ran, and which it did not know."""
    return [
        f"{file} ({place})"
        for place in {**known, **found}
        for file in {**known.get(place, {}), **found.get(place, {})}
        if known.get(place, {}).get(file) != found.get(place, {}).get(file)
    ]


def name_of(place: Place) -> str:
    """The name under ``inputs`` of what a key reads.

    >>> name_of(("models", 0))
    'models.0'
    """
    return ".".join(map(str, place))
