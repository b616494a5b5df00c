"""Which tokenizer a checkpoint carries, as digests: enough to tell two apart, and nothing is loaded or run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from graphmerge.checkpoint.directory import read_json

# What a tokenizer.json says that does not decide which token an id is or how a text is cut.
_INCIDENTAL = ("version", "truncation", "padding", "added_tokens", "post_processor", "decoder")


@dataclass(frozen=True)
class TokenizerIdentity:
    """SHA-256 of each aspect of a tokenizer that the directory tells.

    ``vocabulary``: the tokens and their ids; ``algorithm``: normaliser, pre-tokenizer, merges or scores;
    ``merges``, ``sentencepiece``: files that stand alone. ``entries`` is the size of the vocabulary, where known.
    """

    aspects: Mapping[str, str]
    entries: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "aspects", MappingProxyType(dict(self.aspects)))

    def difference(self, other: TokenizerIdentity) -> str | None:
        """What tells the two apart, in words; None if nothing does.

        Aspects that only one of the two tells are passed over.
        """
        if self.entries and other.entries and self.entries != other.entries:
            return f"their vocabularies have {self.entries:,} and {other.entries:,} entries"
        for aspect in self.aspects.keys() & other.aspects.keys():
            if self.aspects[aspect] != other.aspects[aspect]:
                if aspect == "vocabulary":
                    return "their vocabularies are equally large but give tokens other ids"
                return f"they share a vocabulary but differ in their {aspect}"
        return None


def tokenizer_identity(directory: str | Path) -> TokenizerIdentity | None:
    """The identity of the tokenizer in a checkpoint directory; None if the directory has none.

    Raises:
        InputError: a tokenizer file cannot be read.
    """
    directory = Path(directory)
    if (directory / "tokenizer.json").is_file():
        return _from_fast(read_json(directory / "tokenizer.json"))
    aspects: dict[str, str] = {}
    vocabulary = _separate_vocabulary(directory)
    if vocabulary:
        aspects["vocabulary"] = _digest(vocabulary)
    if (directory / "merges.txt").is_file():
        lines = (directory / "merges.txt").read_text(encoding="utf-8").splitlines()
        aspects["merges"] = _digest([line for line in lines if line and not line.startswith("#version")])
    for path in sorted(directory.glob("*.model")):
        aspects["sentencepiece"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return TokenizerIdentity(aspects, len(vocabulary) or None) if aspects else None


def _from_fast(data: dict[str, Any]) -> TokenizerIdentity:
    """From a tokenizer.json, whose model has a vocabulary {token: id} or, with scores, [[token, score]]."""
    model = dict(data.get("model") or {})
    tokens = model.pop("vocab", {})
    vocabulary = {token: i for i, (token, _) in enumerate(tokens)} if isinstance(tokens, list) else dict(tokens)
    scores = [score for _, score in tokens] if isinstance(tokens, list) else []
    vocabulary |= {token["content"]: token["id"] for token in data.get("added_tokens", [])}
    # older files write a merge as one string, newer ones as a pair
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model.pop("merges", [])]
    rest = {key: value for key, value in data.items() if key not in (*_INCIDENTAL, "model")}
    aspects = {
        "vocabulary": _digest(vocabulary),
        "algorithm": _digest({**rest, "model": model, "scores": scores, "merges": merges}),
    }
    if merges:
        aspects["merges"] = _digest([" ".join(merge) for merge in merges])
    return TokenizerIdentity(aspects, len(vocabulary))


def _separate_vocabulary(directory: Path) -> dict[str, int]:
    """{token: id} from the files of a tokenizer without tokenizer.json; empty if there are none."""
    vocabulary: dict[str, int] = {}
    if (directory / "vocab.json").is_file():
        vocabulary = read_json(directory / "vocab.json")
    elif (directory / "vocab.txt").is_file():
        lines = (directory / "vocab.txt").read_text(encoding="utf-8").splitlines()
        vocabulary = {token: i for i, token in enumerate(lines)}
    if vocabulary and (directory / "added_tokens.json").is_file():
        vocabulary = vocabulary | read_json(directory / "added_tokens.json")
    return vocabulary


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
