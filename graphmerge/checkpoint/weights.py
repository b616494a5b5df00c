"""A model's weights, one tensor at a time: from its files if those hold what its class takes, else from memory."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import nn

from graphmerge.checkpoint.check import check_finite
from graphmerge.checkpoint.conversion import Conversion, conversions
from graphmerge.checkpoint.factory import is_factory
from graphmerge.checkpoint.load import Loaded, Source, directory_of, load_model
from graphmerge.checkpoint.pretrained import build_without_weights, mergeable_files, unused_text
from graphmerge.checkpoint.shards import Entry, read_entries, read_tensor, same_bytes
from graphmerge.checkpoint.tokenizer import tokenizer_identity
from graphmerge.checkpoint.wording import listed
from graphmerge.errors import GraphMergeWarning


@dataclass(frozen=True, eq=False)
class Weights:
    """The tensors of one model by state-dict key.

    ``loaded.model`` has their shapes; it has their values too unless they stand in files: then ``entries`` says where,
    by the names that they have there, ``conversions`` what of them makes which tensors, and the module is on the meta
    device.
    """

    loaded: Loaded
    entries: Mapping[str, Entry] | None = None
    conversions: tuple[Conversion, ...] = ()

    @cached_property
    def state(self) -> dict[str, torch.Tensor]:
        """The module's state dict: shapes and ties, and the values unless they stand in files."""
        return dict(self.loaded.model.state_dict())

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor."""
        return {key: tuple(tensor.shape) for key, tensor in self.state.items()}

    @cached_property
    def ties(self) -> dict[str, tuple[str, ...]]:
        """For every key, all keys of the same tensor."""
        return tied_keys(self.state)

    @cached_property
    def sources(self) -> dict[str, Conversion]:
        """What makes the tensors that stand in files, by their keys; of tied keys there may be some only."""
        return {key: conversion for conversion in self.conversions for key in conversion.keys}

    def read(self, key: str) -> torch.Tensor:
        """The tensor; of files a copy of one's own.

        Raises:
            InputError: NaN or infinite entries.
        """
        stored = next((name for name in self.ties[key] if name in self.sources), None)
        return self.state[key].detach() if stored is None else self.read_stored(stored)

    def read_stored(self, key: str) -> torch.Tensor:
        """As `read`, of a key in ``sources``."""
        conversion, entries = self.sources[key], self.entries or {}
        tensor = conversion.load(lambda name: read_tensor(entries[name]))[key]
        check_finite({key: tensor}, self.loaded.source)
        return tensor

    def shape_stored(self, key: str) -> tuple[int, ...]:
        """The shape that the files give a key in ``sources``."""
        conversion, entries = self.sources[key], self.entries or {}
        return entries[conversion.names[0]].shape if conversion.is_plain else self.shapes[key]

    def equal(self, key: str, other: str) -> bool:
        """Whether two tensors of the model are the same, value by value."""
        if self.entries is not None and key in self.sources and other in self.sources:
            one, another = self.sources[key], self.sources[other]
            if one.is_plain and another.is_plain:
                return same_bytes(self.entries[one.names[0]], self.entries[another.names[0]])
            return torch.equal(self.read_stored(key), self.read_stored(other))
        return torch.equal(self.read(key), self.read(other))


def tied_keys(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[str, ...]]:
    """For every key, the keys of all tensors with its storage, offset, shape and stride, itself among them."""
    found: dict[object, list[str]] = {}
    for key, tensor in state.items():
        # the storage object tells aliases apart even where there is no memory (meta)
        place = (tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.shape, tensor.stride())
        found.setdefault(place if tensor.numel() else key, []).append(key)
    return {key: tuple(keys) for keys in found.values() for key in keys}


def open_weights(source: Source | Loaded, *, trust_remote_code: bool = False) -> Weights:
    """A model's weights, ready for `Weights.read`: no file is read but its header.

    A directory whose files do not say clearly what ``from_pretrained`` would make of them is loaded whole, with a
    `GraphMergeWarning`; what is no directory is in memory anyhow.

    Raises:
        InputError, ArchitectureMismatch: as `load_model`; NaN and infinite weights are found when they are read.
    """
    if isinstance(source, Loaded):
        directory, name = source.directory, source.source
    elif isinstance(source, nn.Module) or is_factory(str(source)):
        directory, name = None, ""
    else:
        directory, name = directory_of(source, trust_remote_code), str(source)
    if directory is None:
        return Weights(source if isinstance(source, Loaded) else load_model(source))
    entries = read_entries(mergeable_files(directory))
    model = build_without_weights(directory, trust_remote_code=trust_remote_code)
    found, unclear = conversions(model, entries)
    used = {name for conversion in found for name in conversion.names}
    loaded = Loaded(model, name, directory, tokenizer=tokenizer_identity(directory))
    weights = Weights(loaded, {n: entry for n, entry in entries.items() if n in used}, tuple(found))
    if reason := unclear or _difference(weights):
        warnings.warn(f"{name} is read into memory as a whole: {reason}", GraphMergeWarning, stacklevel=2)
        return Weights(replace(load_model(directory, trust_remote_code=trust_remote_code), source=name))
    if unused := sorted(entries.keys() - used):
        warnings.warn(unused_text(directory, type(model).__name__, unused), GraphMergeWarning, stacklevel=2)
    return weights


def _difference(weights: Weights) -> str | None:
    """Why the tensors in the files are not those of the state dict; None if they are."""
    model = type(weights.loaded.model).__name__
    for keys in dict.fromkeys(weights.ties.values()):
        stored = [key for key in keys if key in weights.sources]
        if not stored:
            return f"its files have no {keys[0]}, under which {model} knows a tensor"
        for key in stored:
            if weights.shape_stored(key) != weights.shapes[key]:
                return f"its files have another shape of {key} than {model}"
            if not weights.equal(stored[0], key):
                return f"its files have two values for {listed(keys)}, which are one tensor in {model}"
    return None
