"""Merging checkpoints tensor by tensor, from files to files; permuting one is the merge of one."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from graphmerge.checkpoint import Weights, check_pair, model_directory, write_entries, write_module
from graphmerge.checkpoint.wording import listed
from graphmerge.errors import ArchitectureMismatch
from graphmerge.merge.shares import Shares
from graphmerge.symmetry import Block, Permutations


@dataclass(frozen=True, eq=False)
class Part:
    """One model that goes into a merge, and the permutations that bring it into the order of the others."""

    weights: Weights
    permutations: Permutations | None = None

    @cached_property
    def _layout(self) -> Mapping[str, tuple[Block, ...]]:
        if self.permutations is None:
            return {}
        symmetry, shapes = self.permutations.symmetry, self.weights.shapes
        return symmetry.fit({key: shapes[key] for key in symmetry.layout if key in shapes}).layout

    def read(self, key: str) -> torch.Tensor:
        """The tensor in its new order."""
        tensor = self.weights.read(key)
        blocks = next((self._layout[name] for name in self.weights.ties[key] if name in self._layout), None)
        return tensor if self.permutations is None or blocks is None else self.permutations.move_tensor(tensor, blocks)

    def check(self) -> None:
        """Raises:
        ArchitectureMismatch: the permutations belong to other shapes.
        """
        _ = self._layout


def write_merged(
    parts: Sequence[Part],
    shares: Shares,
    directory: str | Path,
    *,
    provenance: Mapping[str, Any],
    permutations: Permutations | None = None,
    shard_size: int | None = None,
    force: bool = False,
) -> None:
    """Merge models into a directory that from_pretrained loads, as `merge` and `save_model` would, bit for bit.

    In memory are one tensor of every model and the merged one: no model, and no file. The result has the dtypes, the
    names and (unless ``shard_size`` says how many bytes a file holds at most) the files of the first model, and its
    config, generation config and tokenizer. A model that is in memory already is merged there. Permutations that do not
    preserve the function are written down with the provenance as ``unsound``.

    Args:
        permutations: written along.

    Raises:
        InputError: the directory exists or cannot be written; NaN or infinite weights.
        ArchitectureMismatch: the models, or the permutations, do not belong to one architecture; tensors that the first
            model ties differ in another one.
    """
    first = parts[0].weights
    for part in parts[1:]:
        names = (first.loaded.source, part.weights.loaded.source)
        check_pair(first.loaded.model, part.weights.loaded.model, names=names)
        _check_ties(first, part.weights)
    for part in parts:
        part.check()

    def merged(key: str) -> torch.Tensor:
        # from the last on: while a tensor is moved, those before it need not be there
        tensors = [part.read(key) for part in reversed(parts)][::-1]
        name = next((name for name in first.ties[key] if name in shares.by_key or name in shares.kept), key)
        if len(tensors) == 1:
            return tensors[0]
        # what was read from a file is a copy, and may be written over
        return shares.merged(name, tensors, out=None if first.entries is None else tensors[0])

    like = first.loaded.directory
    reasons = dict.fromkeys(r for part in parts if part.permutations for r in part.permutations.symmetry.unsound)
    if reasons:
        provenance = {**provenance, "unsound": list(reasons)}
    with model_directory(directory, like=like, provenance=provenance, permutations=permutations, force=force) as beside:
        if first.entries is not None and like is not None:
            made = (c.store({key: merged(key) for key in c.keys}) for c in first.conversions)
            write_entries(beside, like, first.entries, made, shard_size)
            return
        module = copy.deepcopy(first.loaded.model)
        module.load_state_dict({key: merged(keys[0]) for key, keys in first.ties.items()})
        write_module(module, beside, shard_size)


def _check_ties(first: Weights, other: Weights) -> None:
    for keys in dict.fromkeys(first.ties.values()):
        if any(not other.equal(keys[0], key) for key in keys[1:]):
            raise ArchitectureMismatch(
                f"{first.loaded.source} ties {listed(keys)}, {other.loaded.source} has them apart; untie the first"
            )
