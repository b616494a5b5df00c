"""What can be known of an experiment before any work, and without a network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from experiments.experiment import ModelSet, Plan
from graphmerge.checkpoint import find_function, is_factory, load_model
from graphmerge.errors import GraphMergeError, InputError, RecipeError
from graphmerge.graph import trace
from graphmerge.match.roles import kind
from graphmerge.match.selection import named_groups
from graphmerge.recipe.schema import DERIVED, Data, Recipe
from graphmerge.resolve import load_spec
from graphmerge.symmetry import Symmetry


@dataclass(frozen=True)
class VariantPlan:
    """What one variant would match: kinds of groups with how many there are (None if it is not known yet).

    ``options`` are those that are not as they are by default; ``unsound`` those of them that change the function.
    """

    name: str
    method: str
    moves: Mapping[str, int] | None
    chosen: bool
    options: tuple[str, ...] = ()
    unsound: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetPlan:
    """What would be done with one set; ``notes`` say what could not be looked at."""

    name: str
    models: tuple[str, ...]
    pairs: int
    variants: tuple[VariantPlan, ...]
    points: int
    notes: tuple[str, ...]

    @property
    def curves(self) -> int:
        """How many lines between models would be measured, those of the models as they are among them."""
        return self.pairs * (1 + len(self.variants))


def check(plan: Plan) -> tuple[SetPlan, ...]:
    """Look at the files that an experiment names, and at the groups of its models as far as they can be had here.

    Raises:
        RecipeError: all that is wrong: files that are missing, functions that are not there, patterns that name no
            group, a shape that cannot be built.
    """
    mistakes: list[str] = []
    found = tuple(_checked(plan, own, mistakes) for own in plan.sets)
    if mistakes:
        raise RecipeError("\n".join(dict.fromkeys(mistakes)))
    return found


def _checked(plan: Plan, own: ModelSet, mistakes: list[str]) -> SetPlan:
    notes: list[str] = []
    for variant, recipe in own.recipes.items():
        for message in _missing(recipe, plan.folder):
            mistakes.append(f"{plan.name}, {own.name}, {variant!r}: {message}")
        notes += _remote(recipe, plan.folder)
    symmetry = None
    try:
        symmetry = _symmetry(plan.folder, own, notes)
    except GraphMergeError as error:
        mistakes.append(f"{plan.name}, {own.name}: {error}")
    variants = []
    for variant, recipe in own.recipes.items():
        try:
            variants.append(_variant(variant, recipe, symmetry))
        except GraphMergeError as error:
            mistakes.append(f"{plan.name}, {own.name}, {variant!r}: {error}")
    points = own.common.evaluation.points if own.common.evaluation else None
    pairs = math.comb(len(own.models), 2)
    return SetPlan(own.name, own.models, pairs, tuple(variants), points or 0, tuple(dict.fromkeys(notes)))


def _variant(name: str, recipe: Recipe, symmetry: Symmetry | None) -> VariantPlan:
    method = recipe.match.method
    chosen = recipe.groups is None and recipe.calibration is not None and method != "identity"
    given = recipe.match.options
    options = tuple(f"{option}: {getattr(given, option)}" for option in given.changed if option != "allow_unsound")
    if symmetry is None:
        return VariantPlan(name, method, None, chosen, options, given.unsound)
    moving = set(named_groups(symmetry, recipe.groups)) if recipe.groups is not None else set(symmetry.by_name)
    if method == "identity":
        moving = set()
    counts = Counter(kind(group) for group in symmetry.by_name if group in moving)
    return VariantPlan(name, method, counts, chosen, options, given.unsound)


def _missing(recipe: Recipe, folder: Path) -> Iterator[str]:
    """Files and functions that are named and not there."""
    names = [data.source for data in _data(recipe) if data.source is not None]
    names += [data.tokenizer for data in _data(recipe) if data.tokenizer is not None]
    losses = (recipe.match.loss, recipe.evaluation.loss if recipe.evaluation else None)
    for name in (*names, *(loss for loss in losses if loss is not None)):
        try:
            if is_factory(name):
                find_function(str(folder / name))
            elif not (folder / name).exists():
                raise InputError(f"there is no {name} beside the file")
        except GraphMergeError as error:
            yield str(error)


def _remote(recipe: Recipe, folder: Path) -> Iterator[str]:
    for data in _data(recipe):
        if data.dataset is not None and not (folder / data.dataset.name).exists():
            yield f"the data set {data.dataset.name} comes over the network; not looked at"


def _data(recipe: Recipe) -> list[Data]:
    return [data for data in (recipe.calibration, recipe.evaluation) if data is not None]


def _symmetry(folder: Path, own: ModelSet, notes: list[str]) -> Symmetry | None:
    """The groups of the first model from its config alone, else those of the shape; None where there is neither."""
    here = [name for name in own.models if (folder / name).is_dir()]
    if absent := [name for name in own.models if name not in here]:
        notes.append(f"not on this machine: {', '.join(absent)}")
    if here:
        model = load_model(folder / here[0], config_only=True).model
    elif own.shape is not None:
        model = shaped(own.shape)
        notes.append(f"groups are those of the shape that the file states, a {own.shape['class']}")
    else:
        notes.append("no config here and no shape in the file: which groups move is not known")
        return None
    spec = own.common.spec
    return trace(model).symmetry() if spec == DERIVED else load_spec(spec, model)


def shaped(shape: Mapping[str, Any]) -> torch.nn.Module:
    """A model without weights of a class of transformers; what stands beside ``class`` are arguments of its config.

    Raises:
        InputError: there is no such class, or it does not take the arguments.
    """
    name, given = str(shape["class"]), {key: value for key, value in shape.items() if key != "class"}
    kind = getattr(transformers, name, None)
    if not isinstance(kind, type) or not issubclass(kind, transformers.PreTrainedModel) or kind.config_class is None:
        raise InputError(f"transformers has no model class {name!r}")
    try:
        with torch.device("meta"):
            return kind(kind.config_class(**given))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"the shape of a {name} cannot be built: {error}") from None
