"""The keys of a recipe: what each may be, and what it means. Only the text is looked at here, no file.

`graphmerge.recipe.read` reads one from YAML and says where mistakes stand; ``docs/recipes.md`` has a table of all keys
that is written from here.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from graphmerge.checkpoint import bytes_in, is_factory
from graphmerge.data import Draw
from graphmerge.errors import InputError
from graphmerge.evaluate import named_metrics
from graphmerge.match import MatchOptions
from graphmerge.match.many import REFINED, To
from graphmerge.match.match import Method
from graphmerge.match.options import (
    LEAST_SHARE,
    MEANINGS,
    MOST_STEPS,
    HeadFeatures,
    Heads,
    ResidualFeatures,
    Similarity,
)
from graphmerge.merge import Interpolation, check_kept, check_weights
from graphmerge.spec import PACKAGED, packaged_names
from graphmerge.spec.wording import nearest
from graphmerge.stats.positions import Level

VERSION: Final = 1
DERIVED: Final = "derived"
FAMILIES: Final = packaged_names()  # once: reading a recipe touches no other file
FILES: Final = (".txt", ".md", ".npy", ".jsonl")


def _listed(given: Any) -> Any:
    """``ffn, heads`` is ``[ffn, heads]``."""
    return [part.strip() for part in given.split(",")] if isinstance(given, str) else given


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _function(text: str) -> str:
    if not re.fullmatch(r".+\.py:\w+", text):
        raise ValueError(f"must name a function as file.py:function, not {text[:60]!r}")
    return text


def _size(text: str) -> str:
    try:
        bytes_in(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", text):
        raise ValueError(f"must be auto, cpu, cuda or cuda:1, not {text[:60]!r}")
    return text


def _metrics(names: list[str]) -> list[str]:
    try:
        return list(named_metrics(names))
    except InputError as error:
        raise ValueError(f"names what cannot be measured: {error}") from None


Text = Annotated[str, AfterValidator(_not_empty)]
Function = Annotated[str, AfterValidator(_function)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Patterns = Annotated[list[Text], BeforeValidator(_listed), Field(min_length=1)]
Metrics = Annotated[list[Text], BeforeValidator(_listed), Field(min_length=1), AfterValidator(_metrics)]
Weights = Annotated[list[float], Field(min_length=1)]


class Section(BaseModel):
    """Keys that belong together; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


class Dataset(Section):
    """A data set of the Hugging Face hub, or a local one that ``datasets.load_dataset`` reads."""

    name: Text = Field(description="Its name, as `datasets.load_dataset` takes it.")
    config: Text | None = Field(default=None, description="Which of its configurations.")
    revision: Text | None = Field(default=None, description="A commit of it; a branch may change.")
    split: Text = Field(default="train", description="Which split.")
    column: Text = Field(default="text", description="The column that holds the text.")
    rows: Count = Field(default=1000, description="How many rows are read, from the first on.")


class Data(Section):
    """Batches: where from, and how many."""

    source: Text | None = Field(
        None, description="A `.txt`, `.npy` (ids) or `.jsonl` (text, label) file, or `file.py:loader`."
    )
    dataset: Dataset | None = Field(default=None, description="Instead of `source`: a Hugging Face data set.")
    batches: Count = Field(default=24, description="How many batches are drawn.")
    size: Count = Field(default=32, description="Rows in a batch.")
    length: Annotated[int, Field(ge=2, le=10**9)] = Field(default=64, description="Tokens in a row.")
    draw: Draw = Field(
        default="windows", description="Rows of a text: random `windows`, or `blocks`, one after the other."
    )
    seed: Seed | None = Field(default=None, description="Of the draw; else the recipe's.")
    tokenizer: Text | None = Field(default=None, description="Directory of the tokenizer; else the first model's.")

    @field_validator("source")
    @classmethod
    def _known(cls, source: str | None) -> str | None:
        if source is None or source.endswith(FILES):
            return source
        if is_factory(source):
            return _function(source)
        raise ValueError(f"must end in {', '.join(FILES)}, or be file.py:loader; not {source[:60]!r}")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.source is None) == (self.dataset is None):
            raise ValueError("needs one of 'source' (a file, or file.py:loader) and 'dataset' (of Hugging Face)")
        return self


class Evaluation(Data):
    """What the merge is measured on, and how."""

    batches: Count = Field(default=8, description="How many batches are drawn.")
    points: Annotated[int, Field(ge=3, le=10**6)] | None = Field(
        None, description="Measure the barrier too, at that many points between two models."
    )
    loss: Function | None = Field(
        default=None, description="`file.py:function` of (model, batch); else the model's own."
    )
    metrics: Metrics | None = Field(
        default=None, description="Measured beside the loss: `accuracy`, `glue:mrpc`; see evaluation.md."
    )


class Matching(Section):
    """How the permutations are found that bring every model into the order of the first."""

    method: Method = Field(default="weights", description="`weights`, `activations` (of `calibration`) or `identity`.")
    to: To = Field(
        default="first",
        description="Each model to the `first`, or all to one another, in a `universe` of one order for all.",
    )
    similarity: Similarity = Field(
        default="correlation", description="`correlation`, `covariance` or `inner_product`, of activations."
    )
    absolute: bool = Field(default=False, description=MEANINGS["absolute"])
    level: Level = Field(default="token", description=MEANINGS["level"])
    residual_features: ResidualFeatures = Field(default="all", description=MEANINGS["residual_features"])
    heads: Heads = Field(default="permuted", description=MEANINGS["heads"])
    head_features: HeadFeatures = Field(default="both", description=MEANINGS["head_features"])
    special_tokens: bool = Field(default=True, description=MEANINGS["special_tokens"])
    special_ids: list[Annotated[int, Field(ge=0, le=10**9)]] = Field(default=[], description=MEANINGS["special_ids"])
    share: Annotated[float, Field(ge=LEAST_SHARE, le=1)] = Field(default=1.0, description=MEANINGS["share"])
    refine: Annotated[int, Field(ge=0, le=MOST_STEPS)] | None = Field(default=None, description=MEANINGS["refine"])
    allow_unsound: bool = Field(default=False, description=MEANINGS["allow_unsound"])
    sweeps: Count = Field(default=30, description="How often groups are solved again at most.")
    loss: Function | None = Field(
        default=None,
        description="By which groups are chosen: `file.py:function` of (model, batch); else the model's own.",
    )

    @property
    def options(self) -> MatchOptions:
        """What `match` calls options."""
        return MatchOptions(**{field.name: getattr(self, field.name) for field in fields(MatchOptions)})


class OwnWeights(Section):
    """Weights of their own for some tensors."""

    groups: Patterns | None = Field(default=None, description="The tensors that these groups move; as under `groups`.")
    tensors: Patterns | None = Field(default=None, description="The tensors with these names; globs.")
    weights: Weights = Field(description="One a model, in sum 1.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.groups is None) == (self.tensors is None):
            raise ValueError("needs one of 'groups' and 'tensors'")
        return self


class Merging(Section):
    """How the aligned models become one."""

    method: Interpolation = Field(default="linear", description="`linear`, or `slerp` (two models, along the arc).")
    weights: Weights | None = Field(default=None, description="One a model, in sum 1; equal by default.")
    exceptions: list[OwnWeights] = Field(default=[], description="Other weights for some tensors; the first that fits.")
    keep: Patterns | None = Field(
        default=None, description="Tensors that are not averaged, as those of a head: globs over their names."
    )
    keep_from: Annotated[int, Field(ge=0, le=10**6)] = Field(
        default=0, description="The model whose tensors these are, counted from 0; all are measured with theirs."
    )


class Recipe(Section):
    """A whole merge."""

    recipe: Literal[1] = Field(description="The version of this notation: 1.")
    models: Annotated[list[Text], Field(min_length=2)] = Field(
        description="Hugging Face directories or ids, or `file.py:factory`; the others are matched to the first."
    )
    output: Text = Field(description="The directory to write.")
    spec: Text = Field(default=DERIVED, description="`derived`, `packaged` (or a family), or a `.yaml` file.")
    groups: Patterns | None = Field(
        default=None, description="Which groups take part; globs. Else chosen on the data, or all."
    )
    calibration: Data | None = Field(default=None, description="The data to match on.")
    match: Matching = Field(default=Matching(), description="How to match.")
    merge: Merging = Field(default=Merging(), description="How to merge.")
    evaluation: Evaluation | None = Field(default=None, description="What to measure; nothing by default.")
    shard_size: Annotated[str, AfterValidator(_size)] | None = Field(
        None, description="How large a file of weights may be, as in `2GB`."
    )
    seed: Seed = Field(default=0, description="Of everything that is drawn at random.")
    threads: Count | None = Field(default=None, description="Of the CPU; other numbers may round otherwise.")
    device: Annotated[str, AfterValidator(_device)] = Field(
        default="auto", description="`cpu`, `cuda`, `cuda:1` or `auto`."
    )
    trust_remote_code: bool = Field(default=False, description="Run code that comes with a checkpoint.")
    allow_different_tokenizers: bool = Field(default=False, description="Merge although the tokenizers differ.")
    inputs: dict[Text, dict[str, Text]] | None = Field(
        default=None,
        description="Written by a run: the SHA-256 of what it read.",
    )

    @field_validator("spec")
    @classmethod
    def _known(cls, spec: str) -> str:
        known = (DERIVED, PACKAGED, *FAMILIES)
        if spec not in known and not spec.endswith((".yaml", ".yml")):
            hint = nearest(spec, known) or f"; packaged are {', '.join(FAMILIES)}"
            raise ValueError(f"must be derived, packaged, a family, or a .yaml file; not {spec[:60]!r}{hint}")
        return spec


def check_together(recipe: Recipe) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong between keys that are each right: where, and what."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    count = len(recipe.models)
    if recipe.match.method == "activations" and recipe.calibration is None:
        found.append(
            (("match", "method"), "matching by activations needs data: add 'calibration', or match by weights")
        )
    options, has_data = recipe.match.options, recipe.calibration is not None or recipe.match.method == "activations"
    mistakes = options.mistakes(recipe.match.method, recipe.match.similarity, has_data=has_data)
    found += [(("match", name), mistake) for name, mistake in mistakes]
    if recipe.match.to == "universe" and recipe.match.refine:
        found.append((("match", "refine"), REFINED))
    if recipe.merge.method == "slerp" and count != 2:
        found.append((("merge", "method"), f"slerp merges two models, not {count}; write linear"))
    try:
        check_kept(recipe.merge.keep or (), recipe.merge.keep_from, count)
    except InputError as error:
        found.append((("merge", "keep_from"), str(error)))
    places: list[tuple[tuple[str | int, ...], list[float] | None]] = [(("merge", "weights"), recipe.merge.weights)]
    places += [(("merge", "exceptions", n, "weights"), e.weights) for n, e in enumerate(recipe.merge.exceptions)]
    for place, weights in places:
        if weights is not None:
            try:
                check_weights(weights, count)
            except InputError as error:
                found.append((place, str(error)))
    if recipe.evaluation is not None and recipe.evaluation.points is not None and count != 2:
        found.append((("evaluation", "points"), f"a barrier lies between two models, not {count}; remove 'points'"))
    if recipe.groups is not None and recipe.match.method == "identity":
        found.append((("groups",), "matching by identity moves no group; remove 'groups', or match by weights"))
    return found
