"""Batches from files: text, token ids, labelled examples, or a user's own function."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from graphmerge.checkpoint import Loaded, call_function, find_function, is_factory, tokenizer_identity
from graphmerge.errors import InputError
from graphmerge.evaluate.batches import listed_once
from graphmerge.evaluate.loss import Loss

Batch = Mapping[str, torch.Tensor] | tuple[torch.Tensor, ...]
MASKED_SHARE = 0.15  # of the positions; of these 80 % become the mask token, 10 % a random one (arXiv 1810.04805)
IGNORED = -100


Draw = Literal["windows", "blocks"]
DRAWS: tuple[Draw, ...] = ("windows", "blocks")


@dataclass(frozen=True)
class Sampling:
    """How to draw batches: ``count`` batches of ``size`` rows of ``length`` tokens.

    ``draw`` says which rows of a text: random ``windows``, or ``blocks``, which follow each other without overlap from
    its start; ``count`` is then the most, and what fills no block is left out.

    ``tokenizer`` is the directory of the tokenizer that reads them; None is the checkpoint's own.
    """

    count: int = 8
    size: int = 32
    length: int = 64
    seed: int = 0
    tokenizer: Path | None = None
    draw: Draw = "windows"

    def check(self) -> None:
        """Raises:
        InputError: a number is too small: there would be nothing to measure.
        """
        if self.draw not in DRAWS:
            raise InputError(f"rows are drawn as {' or '.join(DRAWS)}, not {self.draw!r}")
        for name, least in (("count", 1), ("size", 1), ("length", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"sampling takes a {name} of at least {least}; got {getattr(self, name)}")


def load_data(source: str | Path, model: Loaded, sampling: Sampling = Sampling()) -> list[Any]:
    """Batches for ``model`` from a file.

    ``.txt`` is tokenised with the checkpoint's own tokenizer, ``.npy`` holds token ids (integers in a row): both give
    windows or blocks, labelled for next tokens or with masked tokens as the model's class asks. ``.jsonl`` holds rows
    ``{"text": ..., "label": ...}`` for classification, with a ``"text_pair"`` where two texts are compared.
    ``file.py:function`` is called and returns the batches.

    Raises:
        InputError: a file that is missing, empty or of another kind, a model without the tokenizer that it takes, or
            sampling that draws nothing.
    """
    if is_factory(str(source)):
        return listed_once(call_function(str(source)))
    sampling.check()
    path = Path(source)
    if not path.is_file():
        raise InputError(f"there is no data file {path}")
    match path.suffix:
        case ".npy":
            return list(windows(_read_ids(path), model, sampling))
        case ".txt" | ".md":
            return text_batches(_read_text(path), model, sampling)
        case ".jsonl":
            return list(_examples(path, model, sampling))
    known = ".txt, .npy (token ids), .jsonl (text, label) or file.py:function"
    raise InputError(f"{path} is no data that is known: give {known}")


def text_batches(text: str, model: Loaded, sampling: Sampling) -> list[Any]:
    """Batches of windows or blocks of a text.

    Raises:
        InputError: as `load_data`.
    """
    ids = _tokenizer(model, sampling)(text, add_special_tokens=False)["input_ids"]
    return list(windows(np.asarray(ids, dtype=np.int64), model, sampling))


def load_loss(source: str | None) -> Loss | None:
    """The loss function that ``file.py:function`` names, called as ``function(model, batch)``; None for None.

    Raises:
        InputError: no such file or function, or an error in the file.
    """
    return None if source is None else find_function(source)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no text in UTF-8 ({error})") from None


def _read_ids(path: Path) -> np.ndarray:
    try:
        ids = np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is no .npy file of numbers: {error}") from None
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise InputError(f"{path} holds {ids.dtype} of shape {ids.shape}; expected token ids in one row")
    return ids.astype(np.int64)


def windows(ids: np.ndarray, model: Loaded, sampling: Sampling) -> Iterator[dict[str, torch.Tensor]]:
    """Windows or blocks of a row of ids, labelled as the model's class asks."""
    kind = _language_task(model)
    if len(ids) < sampling.length + (sampling.draw == "windows"):
        raise InputError(f"the data holds {len(ids)} tokens; windows of {sampling.length} need more")
    rows = getattr(getattr(model.model, "config", None), "vocab_size", None)
    if rows is not None and ids.max() >= rows:
        raise InputError(
            f"the data holds id {ids.max()}, the model's vocabulary ends at {rows - 1}; another tokenizer?"
        )
    rng = np.random.default_rng(sampling.seed)
    mask = _mask_id(model, sampling) if kind == "masked" else None
    for starts in _starts(len(ids), sampling, rng):
        batch = np.stack([ids[i : i + sampling.length] for i in starts])  # (size, length)
        yield causal_batch(batch) if mask is None else masked_batch(batch, mask, int(rows or ids.max() + 1), rng)


def _starts(tokens: int, sampling: Sampling, rng: np.random.Generator) -> Iterator[Sequence[int]]:
    """Where the rows of each batch start."""
    if sampling.draw == "blocks":
        blocks = range(0, tokens - sampling.length + 1, sampling.length)[: sampling.count * sampling.size]
        yield from (blocks[n : n + sampling.size] for n in range(0, len(blocks), sampling.size))
    else:
        yield from (rng.integers(0, tokens - sampling.length, sampling.size).tolist() for _ in range(sampling.count))


def causal_batch(ids: np.ndarray) -> dict[str, torch.Tensor]:
    """Ids that are their own labels: the loss shifts them."""
    tokens = torch.from_numpy(ids)
    return {"input_ids": tokens, "labels": tokens.clone()}


def masked_batch(ids: np.ndarray, mask: int, vocabulary: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """15 % of the positions are to be guessed: 80 % of them masked, 10 % replaced by a random id, 10 % left."""
    chosen, how = rng.random(ids.shape) < MASKED_SHARE, rng.random(ids.shape)
    labels = np.where(chosen, ids, IGNORED)
    shown = np.where(chosen & (how < 0.8), mask, ids)
    shown = np.where(chosen & (how >= 0.9), rng.integers(0, vocabulary, ids.shape), shown)
    return {"input_ids": torch.from_numpy(shown), "labels": torch.from_numpy(labels)}


def _language_task(model: Loaded) -> str:
    names = {base.__name__ for base in type(model.model).__mro__}
    if names & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()):
        return "causal"
    if names & set(MODEL_FOR_MASKED_LM_MAPPING_NAMES.values()):
        return "masked"
    raise InputError(
        f"{type(model.model).__name__} is no causal or masked language model; give its batches with file.py:function, "
        "or .jsonl rows of text and label for classification"
    )


def _tokenizer(model: Loaded, sampling: Sampling) -> Any:
    """The tokenizer that the sampling names, else the checkpoint's own."""
    given = sampling.tokenizer
    if given is None:
        if model.directory is None or model.tokenizer is None:
            raise InputError(
                f"{model.source} has no tokenizer, which text and masks need; name the directory of one (--tokenizer), "
                "or give batches with file.py:function"
            )
        return AutoTokenizer.from_pretrained(model.directory)
    if not given.is_dir() or tokenizer_identity(given) is None:
        raise InputError(f"{given} is no directory that holds a tokenizer")
    return AutoTokenizer.from_pretrained(given)


def special_ids(model: Loaded, tokenizer: Path | None = None) -> tuple[int, ...]:
    """The ids of the tokenizer's special tokens, but for the mask and the unknown token: those stand for words.

    Raises:
        InputError: there is no tokenizer, or it has none of them.
    """
    if tokenizer is None and (model.directory is None or model.tokenizer is None):
        raise InputError(f"{model.source} has no tokenizer to know special tokens by; name their ids (special_ids)")
    found = _tokenizer(model, Sampling(tokenizer=tokenizer))
    words = {found.mask_token_id, found.unk_token_id}
    ids = tuple(sorted(int(i) for i in found.all_special_ids if i not in words))
    if not ids:
        raise InputError(f"the tokenizer of {model.source} has no special tokens; name their ids (special_ids)")
    return ids


def _mask_id(model: Loaded, sampling: Sampling) -> int:
    found = _tokenizer(model, sampling).mask_token_id
    if found is None:
        raise InputError(f"the tokenizer of {model.source} has no mask token; give batches with file.py:function")
    return int(found)


def _examples(path: Path, model: Loaded, sampling: Sampling) -> Iterator[dict[str, torch.Tensor]]:
    """Labelled texts in the order of the file."""
    rows = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        try:
            row = json.loads(line)
            rows.append((str(row["text"]), row.get("text_pair"), row["label"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f'{path}:{number} is no row {{"text": ..., "label": ...}}') from None
    if not rows:
        raise InputError(f'{path} holds no rows; expected lines like {{"text": ..., "label": ...}}')
    if len({pair is None for _, pair, _ in rows}) > 1 or not all(isinstance(pair, str | None) for _, pair, _ in rows):
        raise InputError(f"{path} has a text_pair in some rows only; give one in every row, or in none")
    tokenizer = _tokenizer(model, sampling)
    named = getattr(getattr(model.model, "config", None), "id2label", None) or {}
    classes = {str(name): int(number) for number, name in named.items()}
    for start in range(0, min(len(rows), sampling.count * sampling.size), sampling.size):
        texts, pairs, labels = zip(*rows[start : start + sampling.size])
        second = None if pairs[0] is None else list(pairs)
        options = {"padding": True, "truncation": True, "max_length": sampling.length, "return_tensors": "pt"}
        encoded = tokenizer(list(texts), second, **options)
        yield {**encoded, "labels": torch.tensor([_label(label, classes, path) for label in labels])}


def _label(label: Any, classes: Mapping[str, int], path: Path) -> Any:
    """A number (a list of them where a text has several labels), or the number of a named class."""
    if isinstance(label, str):
        if label not in classes:
            known = ", ".join(classes) or "none"
            raise InputError(f"{path}: the model has no class named {label!r}; its config names {known}")
        return classes[label]
    numbers = label if isinstance(label, list) else [label]
    if not all(isinstance(n, int | float) for n in numbers):
        raise InputError(f"{path}: a label is {label!r}; expected a number, a list of numbers or the name of a class")
    return label
