"""A model's weights, one tensor at a time: from its files if those hold the tensors of its class, else from memory."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import torch
from torch import nn

from graphmerge.checkpoint.check import check_finite
from graphmerge.checkpoint.factory import is_factory
from graphmerge.checkpoint.load import Loaded, Source, directory_of, load_model
from graphmerge.checkpoint.pretrained import build_without_weights, converted, mergeable_files, unused_text
from graphmerge.checkpoint.shards import Entry, read_entries, read_tensor, same_bytes
from graphmerge.checkpoint.tokenizer import tokenizer_identity
from graphmerge.checkpoint.wording import listed
from graphmerge.errors import GraphMergeWarning

_NORMS: Final = {"gamma": "weight", "beta": "bias"}
_NORM = re.compile(r"LayerNorm\.(gamma|beta)$")


@dataclass(frozen=True, eq=False)
class Weights:
    """The tensors of one model by state-dict key.

    ``loaded.model`` has their shapes; it has their values too unless they stand in files: then ``entries`` says where,
    and the module is on the meta device.
    """

    loaded: Loaded
    entries: Mapping[str, Entry] | None = None

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

    def stored(self, key: str) -> Entry | None:
        """Where the tensor stands in the files, under whichever of its names; None if it is in memory."""
        if self.entries is None:
            return None
        return next(self.entries[name] for name in self.ties[key] if name in self.entries)

    def read(self, key: str) -> torch.Tensor:
        """The tensor; of files a copy of one's own.

        Raises:
            InputError: NaN or infinite entries.
        """
        entry = self.stored(key)
        if entry is None:
            return self.state[key].detach()
        tensor = read_tensor(entry)
        check_finite({key: tensor}, self.loaded.source)
        return tensor

    def equal(self, key: str, other: str) -> bool:
        """Whether two tensors of the model are the same, value by value."""
        one, another = self.stored(key), self.stored(other)
        if one is None or another is None:
            return torch.equal(self.state[key], self.state[other])
        return same_bytes(one, another)


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

    A directory whose files name tensors otherwise than its class does is loaded whole, with a `GraphMergeWarning`; what
    is no directory is in memory anyhow.

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
    files = mergeable_files(directory)
    model = build_without_weights(directory, trust_remote_code=trust_remote_code)
    entries, unclear = _by_names_of(model, read_entries(files))
    weights = Weights(Loaded(model, name, directory, tokenizer=tokenizer_identity(directory)), entries)
    if reason := unclear or _difference(weights):
        warnings.warn(f"{name} is read into memory as a whole: {reason}", GraphMergeWarning, stacklevel=2)
        return Weights(replace(load_model(directory, trust_remote_code=trust_remote_code), source=name))
    if unused := sorted(entries.keys() - weights.state.keys()):
        warnings.warn(unused_text(directory, type(model).__name__, unused), GraphMergeWarning, stacklevel=2)
    return Weights(weights.loaded, {key: entry for key, entry in entries.items() if key in weights.state})


def _by_names_of(model: nn.Module, entries: Mapping[str, Entry]) -> tuple[dict[str, Entry], str | None]:
    """What stands in files under the names of the model's class, where ``from_pretrained`` maps name to name.

    That is: the prefix of the base model is there or not, and norms of old checkpoints have gamma and beta. The other
    value says why that does not tell what is meant, if it does not.
    """
    known, prefix = model.state_dict().keys(), str(getattr(model, "base_model_prefix", "") or "")
    meant: dict[str, str] = {}
    for name in entries:
        found = [other for other in _spellings(name, prefix) if other in known]
        key = found[0] if found else name
        if len(found) > 1:
            return {}, f"its files have {name}, which could be {listed(found)}"
        if key in meant:
            return {}, f"its files have {listed([meant[key], name])}, which could both be {key}"
        meant[key] = name
    if changed := converted(model, list(entries)):
        return {}, f"its files have {listed(changed)}, which {type(model).__name__} takes in another form"
    return {key: entries[name] for key, name in meant.items()}, None


def _spellings(name: str, prefix: str) -> list[str]:
    """The names under which a class may know what is stored under this one."""
    norm = _NORM.sub(lambda found: f"LayerNorm.{_NORMS[found[1]]}", name)
    bare = norm.removeprefix(f"{prefix}.") if prefix else norm
    return list(dict.fromkeys((norm, bare, f"{prefix}.{norm}" if prefix else norm)))


def _difference(weights: Weights) -> str | None:
    """Why the tensors in the files are not those of the state dict; None if they are."""
    entries, model = weights.entries or {}, type(weights.loaded.model).__name__
    for keys in dict.fromkeys(weights.ties.values()):
        stored = [key for key in keys if key in entries]
        if not stored:
            return f"its files have no {keys[0]}, under which {model} knows a tensor"
        for key in stored:
            if entries[key].shape != weights.shapes[key]:
                return f"its files have another shape of {key} than {model}"
            if not same_bytes(entries[stored[0]], entries[key]):
                return f"its files have two values for {listed(keys)}, which are one tensor in {model}"
    return None
