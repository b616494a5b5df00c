"""The models of a sweep: read when a pair needs them, two at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from graphmerge.checkpoint import Loaded, check_pair, digest, load_model
from graphmerge.errors import InputError
from graphmerge.sweep.digests import state_digest
from graphmerge.sweep.forecast import Pair

Source = nn.Module | str | Path
Sources = Sequence[Source] | Mapping[str, Source]


class Models:
    """Models by name."""

    def __init__(self, sources: Sources, *, trust_remote_code: bool, allow_different_tokenizers: bool) -> None:
        self.sources = _named(sources)
        self.trust, self.any_tokenizer = trust_remote_code, allow_different_tokenizers
        self.held: dict[str, Loaded] = {}
        if len(self.sources) < 2:
            raise InputError(f"a sweep takes two models or more; got {len(self.sources)}")

    def load(self, name: str) -> Loaded:
        """A model, held until `pair` needs others."""
        if name not in self.held:
            self.held[name] = load_model(self.sources[name], trust_remote_code=self.trust)
        return self.held[name]

    def pair(self, pair: Pair) -> tuple[Loaded, Loaded]:
        """Two models that belong to one architecture; others are let go.

        Raises:
            InputError: their tokenizers differ.
            ArchitectureMismatch: they belong to different ones.
        """
        self.held = {name: loaded for name, loaded in self.held.items() if name in pair}
        a, b = self.load(pair[0]), self.load(pair[1])
        check_pair(
            a.model,
            b.model,
            tokenizers=(a.tokenizer, b.tokenizer),
            allow_different_tokenizers=self.any_tokenizer,
            names=pair,
        )
        return a, b

    def digests(self) -> dict[str, str]:
        """What the weights of every model hash to; a directory is hashed as its files are."""
        found = {}
        for name, source in self.sources.items():
            if not isinstance(source, nn.Module) and Path(source).is_dir():
                found[name] = ",".join(sha for _, sha in sorted(digest(source).items()))
                continue
            found[name] = state_digest(self.load(name).model.state_dict())
            if len(self.held) > 2:
                del self.held[name]
        return found


def _named(sources: Sources) -> dict[str, Source]:
    """Names for models that have none: the last part of their paths if those differ, else numbers from 1 on."""
    if isinstance(sources, Mapping):
        return dict(sources)
    if isinstance(sources, str | Path | nn.Module):
        raise InputError("a sweep takes a list of models, or a mapping of names to models")
    names = [str(n) if isinstance(s, nn.Module) else Path(s).name for n, s in enumerate(sources, start=1)]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    names = [f"{name}-{n}" if name in repeated else name for n, name in enumerate(names, start=1)]
    return dict(zip(names, sources))
