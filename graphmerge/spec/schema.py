"""The JSON Schema of spec files, for editors that complete and check YAML: ``graphmerge spec schema``.

It knows the shape of a file. What names mean, whether sizes fit, and errors with their places are the reader's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from graphmerge.symmetry import KINDS

Size = Annotated[
    Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=1)],
    Field(description="Units: a number, or what the config says: hidden_size / num_attention_heads."),
]
Letter = Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")]
Span = Annotated[str, Field(pattern=r"^[\s\S]+\.\.[\s\S]+$", description="0..11, both ends included.")]
Axes = Annotated[
    str,
    Field(
        min_length=1,
        description="The axes, separated by blanks: a name, _ (stays), (a b) a product, a + b a sum, _64 units that "
        "stay; or = other.weight, for another name of that tensor.",
    ),
]
Names = Annotated[str | list[str], Field(description="A name, or a list of them.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GroupEntry(_Strict):
    """What may be permuted, or a pinned leaf that others are over."""

    size: Size
    over: Names | None = Field(None, description="The groups whose units each have a permutation of their own.")
    kind: Literal[KINDS] | None = Field(None, description="The largest class of maps that the group allows.")  # type: ignore[valid-type]
    pinned: str | None = Field(None, description="Why the units must stay.")
    same: str | None = Field(
        None, alias="is", pattern=r" if ", description="One with another group: residual if tie_word_embeddings."
    )


class BlockEntry(_Strict):
    """Some rows of a tensor, with axes of their own."""

    rows: Span | None = None
    axes: Axes


class PinEntry(_Strict):
    """Why some axes stay."""

    pin: str | None = Field(None, description="A pinned leaf under 'groups'.")
    reason: str | None = None
    each: Names | None = Field(None, description="Letters for each of whose values this is a pin of its own.")
    size: Size | None = None
    axes: list[str] | None = Field(None, description="Such as lm_head.weight[0] _32000.")


class SpecFile(_Strict):
    """A permutation spec of graphmerge: which axes of which tensors may be permuted together."""

    graphmerge: Literal[1] = Field(description="The version of the notation.")
    model: Names | None = Field(None, description="The class, or classes, that the spec is for.")
    sizes: dict[str, Size] | None = Field(None, description="Short names for sizes.")
    repeat: dict[Letter, Span | list[int | str]] | None = Field(
        None, description="What {l} in names stands for: a range, or a list of numbers, ranges and words."
    )
    groups: dict[str, Size | GroupEntry] = Field(description="Names and sizes of what may be permuted.")
    tensors: dict[str, Axes | list[BlockEntry]] = Field(
        description="The axes of each tensor by state-dict key; a key that ends with ? may be missing from a model."
    )
    pinned: list[PinEntry] | None = Field(None, description="Why the rest does not move; not needed.")
    notes: list[str] | None = None


class ReleaseEntry(_Strict):
    """Pinned axes that become a group."""

    axes: Names
    over: Names | None = None


class OverrideFile(_Strict):
    """A spec that changes what is derived from a model."""

    graphmerge: Literal[1] = Field(description="The version of the notation.")
    derive: Literal[True]
    model: Names | None = None
    pin: Names | None = Field(None, description="Groups that shall not move; * is anything, {l} a number.")
    tie: list[Names] | None = Field(None, description="Groups that shall move as one.")
    release: dict[str, Names | ReleaseEntry] | None = Field(
        None, description="Pinned axes that may move after all, as one group of this name."
    )
    rename: dict[str, str] | None = Field(None, description="Old names and new ones.")


FILE: TypeAdapter[SpecFile | OverrideFile] = TypeAdapter(SpecFile | OverrideFile)


def spec_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "graphmerge spec", **FILE.json_schema()}
