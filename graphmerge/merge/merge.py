"""One model out of several: permute, then average."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from graphmerge.errors import InputError
from graphmerge.merge.combine import combine_states, storage_key
from graphmerge.merge.inputs import Model, align, read_inputs
from graphmerge.merge.shares import check_kept, check_weights, kept_keys
from graphmerge.symmetry import Permutations


def merge(
    models: Sequence[Model],
    permutations: Permutations | Sequence[Permutations | None] | None = None,
    weights: Sequence[float] | None = None,
    *,
    keep: Sequence[str] = (),
    keep_from: int = 0,
) -> Any:
    """The weighted average of models that have been brought into one order of units.

    Returns what the first model is: a copy of the module, or a state dict; for paths a module (a state dict for a
    ``.safetensors`` file). Floating-point tensors are averaged in float32 (float64 where they are) and have the dtype
    of the first model; integers and booleans are those of the first model; what it ties stays tied. Nothing is mutated.

    Args:
        models: modules, state dicts or paths, two or more.
        permutations: for two models the `Permutations` that moves the second; in general a sequence with one entry for
            each model after the first (None leaves it as it is).
        weights: one a model, summing to 1; equal by default.
        keep: globs over names of tensors that are not averaged, as those of a head (``["classifier.*"]``). What the
            first model ties to one of them is kept with it.
        keep_from: the number of the model whose tensors these are, in the order that its permutations bring them into.

    Raises:
        InputError: fewer than two models, weights or permutations that do not fit them, NaN or infinite weights, a
            pattern that names no tensor, checkpoints with different tokenizers (load them and pass the modules to merge
            them all the same).
        ArchitectureMismatch: the models, or the permutations, do not belong to one architecture.
    """
    if len(models) < 2:
        raise InputError(f"merging takes two models or more; got {len(models)}")
    shares = _shares(weights, len(models))
    keep = [keep] if isinstance(keep, str) else list(keep)
    check_kept(keep, keep_from, len(models))
    inputs = read_inputs(models)
    kept = kept_keys(keep, keep_from, _ties(inputs[0].state))
    merged = combine_states(align(inputs, permutations), shares, kept)
    if inputs[0].module is None:
        return merged
    module = copy.deepcopy(inputs[0].module)
    module.load_state_dict(merged)
    return module


def _ties(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[str, ...]]:
    """For every key, those that name the same tensor."""
    keys: dict[Hashable, list[str]] = {}
    for key, tensor in state.items():
        keys.setdefault(storage_key(tensor), []).append(key)
    return {key: tuple(keys[storage_key(tensor)]) for key, tensor in state.items()}


def _shares(weights: Sequence[float] | None, count: int) -> list[float]:
    if weights is None:
        return [1 / count] * count
    shares = [float(w) for w in weights]
    check_weights(shares, count)
    return shares
