"""Which tensors of a class stand in files under which names, as ``from_pretrained`` of transformers understands them.

Most stand there as they are, some under another name. Some the class takes in another form: the matrices of all experts
stacked, a fused projection split, a matrix transposed. Nothing of that is written here: the library's own tables and
operations are applied to a few tensors at a time instead of to a whole model.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from graphmerge.checkpoint.shards import Entry
from graphmerge.checkpoint.wording import listed

Tensors = Mapping[str, torch.Tensor]
Read = Callable[[str], torch.Tensor]  # what is stored under a name


@dataclass(frozen=True, eq=False)
class Conversion:
    """Tensors of a class (``keys``), and those in files (``names``) of which they are made, and no others."""

    keys: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Is the tensor stored as the class takes it, under whichever name?"""
        return type(self) is Conversion

    def load(self, read: Read) -> dict[str, torch.Tensor]:
        """What the class takes, of what is stored."""
        return {self.keys[0]: read(self.names[0])}

    def store(self, tensors: Tensors) -> dict[str, torch.Tensor]:
        """The inverse of `load`."""
        return {self.names[0]: tensors[self.keys[0]]}


@dataclass(frozen=True, eq=False)
class Converted(Conversion):
    """Tensors that change their form; ``patterns`` are those of the library's converter, one a name."""

    model: Any = field(repr=False)
    converter: Any = field(repr=False)
    patterns: tuple[str, ...]

    def load(self, read: Read) -> dict[str, torch.Tensor]:
        """What the class takes, of what is stored."""
        return _load(self.model, self.converter, self.keys[0], self.names, self.patterns, read)

    def store(self, tensors: Tensors) -> dict[str, torch.Tensor]:
        """The inverse of `load`."""
        from transformers.core_model_loading import revert_weight_conversion

        return dict(revert_weight_conversion(self.model, {key: tensors[key] for key in self.keys}))


def conversions(model: nn.Module, entries: Mapping[str, Entry]) -> tuple[list[Conversion], str | None]:
    """Every stored tensor that the class has a place for, in one conversion.

    The other value says why the files do not tell what is meant, if they do not.
    """
    known = model.state_dict()
    plain = [Conversion((name,), (name,)) for name in entries if name in known]
    if not isinstance(model, PreTrainedModel):
        return plain, None
    try:
        sorter = _Sorter(model)
    except ImportError:  # a version that keeps its tables elsewhere; names that are not the class's are then unused
        return plain, None
    return sorter.sorted(entries)


class _Sorter:
    """Finds out for every name in the files what the library would do with it."""

    def __init__(self, model: PreTrainedModel) -> None:
        from transformers import conversion_mapping, core_model_loading

        self.library, self.model = core_model_loading, model
        self.known: dict[str, torch.Tensor] = model.state_dict()
        table = conversion_mapping.get_model_conversion_mapping(model)
        self.renamings = [change for change in table if isinstance(change, core_model_loading.WeightRenaming)]
        self.converters = [change for change in table if isinstance(change, core_model_loading.WeightConverter)]
        self.table = table

    def sorted(self, entries: Mapping[str, Entry]) -> tuple[list[Conversion], str | None]:
        """As `conversions`."""
        plain: dict[str, str] = {}
        changed: dict[str, list[tuple[str, str]]] = {}
        for name in sorted(entries, key=self.library.dot_natural_key):  # the order in which experts are stacked
            key, pattern = self._renamed(name)
            if key not in self.known:
                continue
            if pattern is not None:
                changed.setdefault(key, []).append((name, pattern))
            elif key in plain:
                return [], f"its files have {listed([plain[key], name])}, which could both be {key}"
            else:
                plain[key] = name
        # what the library remembers of a load, and goes by when it stores
        vars(self.model)["_weight_conversions"] = [change for change in self.table if change.was_used()]
        found: list[Conversion] = [Conversion((key,), (name,)) for key, name in plain.items()]
        for key, parts in changed.items():
            names, patterns = zip(*parts)
            conversion = self._converted(key, names, patterns, entries)
            if conversion is None or not plain.keys().isdisjoint(conversion.keys):
                return [], f"its files have {listed(list(names))}, which {type(self.model).__name__} takes another way"
            found.append(conversion)
        return found, None

    def _renamed(self, name: str) -> tuple[str, str | None]:
        """The name in the class, and the pattern of the converter that takes it."""
        rename: Callable[..., tuple[str, str | None]] = self.library.rename_source_key
        prefix = self.model.base_model_prefix
        key, pattern = rename(name, self.renamings, self.converters, prefix, self.known)
        if key not in self.known and name in self.known:
            return rename(name, [], [], prefix, self.known)
        return key, pattern

    def _converted(
        self, key: str, names: Sequence[str], patterns: Sequence[str], entries: Mapping[str, Entry]
    ) -> Converted | None:
        """A conversion, tried on tensors without memory: back again they must be what was stored."""
        converter = next(c for c in self.converters if patterns[0] in c.source_patterns)
        shapes = {name: torch.empty(entries[name].shape, dtype=entries[name].dtype, device="meta") for name in names}
        try:
            loaded = _load(self.model, converter, key, names, patterns, shapes.__getitem__)
            found = Converted(tuple(loaded), tuple(names), self.model, converter, tuple(patterns))
            back = found.store(loaded)
        except Exception:  # the library's operations raise whatever they meet
            return None
        fits = all(k in self.known and t.shape == self.known[k].shape for k, t in loaded.items())
        same = {n: (t.dtype, t.shape) for n, t in back.items()} == {n: (t.dtype, t.shape) for n, t in shapes.items()}
        return found if fits and same else None


def _load(
    model: Any, converter: Any, key: str, names: Sequence[str], patterns: Sequence[str], read: Read
) -> dict[str, torch.Tensor]:
    """What a converter of the library makes of stored tensors; ``key`` is the first tensor that it makes.

    The converter reads them itself, so that nobody else holds them once it has stacked them.
    """
    own = copy.deepcopy(converter)  # it collects what it is given
    for name, pattern in zip(names, patterns):
        own.add_tensor(key, name, pattern, functools.partial(read, name))
    made = own.convert(key, model=model, config=model.config)
    return {k: t[0] if isinstance(t, list) else t for k, t in made.items()}
