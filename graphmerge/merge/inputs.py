"""The models that are merged or compared: read, named, and checked to belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from graphmerge.checkpoint import TokenizerIdentity, check_finite, check_pair, load_model, load_state
from graphmerge.errors import InputError
from graphmerge.symmetry import Permutations

Model = nn.Module | Mapping[str, torch.Tensor] | str | Path


@dataclass(frozen=True, eq=False)
class Input:
    """One model: its weights, and the module they came in (None for a bare state dict)."""

    name: str
    state: dict[str, torch.Tensor]
    module: nn.Module | None = None
    tokenizer: TokenizerIdentity | None = None


def read_inputs(models: Sequence[Model]) -> list[Input]:
    """Every model read, finite, and of the architecture (and, for paths, the tokenizer) of the first.

    Raises:
        InputError: a path holds no model; NaN or infinite weights; checkpoints with different tokenizers.
        ArchitectureMismatch: they do not belong to one architecture.
    """
    inputs = [_read(model, f"model {i + 1}") for i, model in enumerate(models)]
    first = inputs[0]
    for other in inputs[1:]:
        check_pair(
            first.module if first.module and other.module else first.state,
            other.module if first.module and other.module else other.state,
            tokenizers=(first.tokenizer, other.tokenizer),
            names=(first.name, other.name),
        )
    return inputs


def align(inputs: Sequence[Input], permutations: Permutations | Sequence[Permutations | None] | None) -> list[dict]:
    """The state dicts, each model after the first moved by its permutations.

    Raises:
        InputError: not one entry of ``permutations`` for each model after the first.
    """
    moves = [permutations] if isinstance(permutations, Permutations) else list(permutations or [None] * len(inputs[1:]))
    if len(moves) != len(inputs) - 1:
        raise InputError(
            f"{len(inputs)} models need {len(inputs) - 1} permutations, one for each after the first; got {len(moves)}"
        )
    moved = [m.apply(i.state) if m is not None else i.state for m, i in zip(moves, inputs[1:])]
    return [inputs[0].state, *moved]


def _read(model: Model, name: str) -> Input:
    if isinstance(model, nn.Module):
        check_finite(model, name)
        return Input(name, load_state(model), model)
    if isinstance(model, Mapping):
        check_finite(model, name)
        return Input(name, load_state(model))
    if Path(model).suffix == ".safetensors":
        return Input(str(model), load_state(model))
    loaded = load_model(model)
    return Input(loaded.source, load_state(loaded.model), loaded.model, loaded.tokenizer)
