"""The demo's checkpoints, the held-out text as batches, and how well each checkpoint was trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import BertForMaskedLM, GPT2LMHeadModel, PreTrainedModel

from graphmerge.checkpoint.pretrained import quiet_transformers
from graphmerge.data import causal_batch, masked_batch
from graphmerge.demo.corpus import HELD_OUT_BUCKETS, SPECIALS, VOCABULARY
from graphmerge.errors import InputError

ASSETS = Path(__file__).parent / "assets"
TOKENIZER = ASSETS / "tokenizer"
ARCHITECTURES = ("gpt2", "bert")
SEEDS = (1, 2)
WINDOW = 64  # tokens; the models know no further positions
TRAINING_FILE = "training.json"  # beside each checkpoint

_MASK = SPECIALS.index("[MASK]")
_CLASSES: dict[str, type[PreTrainedModel]] = {"gpt2": GPT2LMHeadModel, "bert": BertForMaskedLM}


@dataclass(frozen=True)
class Training:
    """How a checkpoint was trained and how well: losses in nats per token, on the validation text."""

    arch: str
    seed: int
    validation_loss: float
    unigram_entropy: float  # what guessing by the frequencies of the tokens alone would reach
    steps: int
    seconds: float


def folder(arch: str, seed: int) -> Path:
    """The packaged checkpoint of an architecture and a seed: a directory for ``from_pretrained``.

    Raises:
        InputError: there is no such checkpoint.
    """
    if arch not in ARCHITECTURES or seed not in SEEDS:
        raise InputError(f"the demo has no {arch!r} of seed {seed}; there are {', '.join(ARCHITECTURES)} of seeds 1, 2")
    return ASSETS / f"{arch}-seed{seed}"


def load_pair(arch: str) -> tuple[PreTrainedModel, PreTrainedModel]:
    """The two packaged models of an architecture, in eval mode.

    Raises:
        InputError: the demo has no such architecture.
    """
    folders = [folder(arch, seed) for seed in SEEDS]
    with quiet_transformers():
        a, b = (_CLASSES[arch].from_pretrained(path).eval() for path in folders)
    return a, b


def losses() -> tuple[Training, ...]:
    """What was recorded when the checkpoints were trained: one entry for each, by architecture and seed."""
    paths = [folder(arch, seed) / TRAINING_FILE for arch in ARCHITECTURES for seed in SEEDS]
    return tuple(Training(**json.loads(path.read_text())) for path in paths)


def held_out(split: str) -> np.ndarray:
    """The packaged token ids of ``calibration`` or ``validation``: int64, (tokens,).

    Raises:
        InputError: there is no such split.
    """
    if split not in HELD_OUT_BUCKETS:
        raise InputError(f"the demo has no split {split!r}; there are {' and '.join(HELD_OUT_BUCKETS)}")
    return np.load(ASSETS / f"{split}.npy").astype(np.int64)


def batches(
    arch: str, split: str, count: int, size: int = 32, length: int = WINDOW, seed: int = 0
) -> Iterator[dict[str, torch.Tensor]]:
    """Random windows of the held-out text: ``count`` dicts of ``input_ids`` and ``labels``, both (size, length).

    The labels of ``gpt2`` are the ids themselves, shifted by the loss; those of ``bert`` are the ids where they were
    masked and -100 elsewhere. The same seed draws the same windows and the same masks.

    Raises:
        InputError: no such architecture or split, or windows longer than what the models know.
    """
    folder(arch, SEEDS[0])
    if not 2 <= length <= WINDOW:
        raise InputError(f"windows of {length} tokens; the demo's models take 2 to {WINDOW}")
    ids, rng = held_out(split), np.random.default_rng(seed)
    return (labelled(arch, windows(ids, size, length, rng), rng) for _ in range(count))


def windows(ids: np.ndarray, size: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """``size`` random stretches of ``length`` neighbouring ids: (size, length)."""
    starts = rng.integers(0, len(ids) - length + 1, size)
    return ids[starts[:, None] + np.arange(length)]


def labelled(arch: str, rows: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Rows of ids as a batch of the architecture's task: guess the next token, or the masked ones."""
    return masked_batch(rows, _MASK, VOCABULARY, rng) if arch == "bert" else causal_batch(rows)


def unigram_entropy(ids: np.ndarray) -> float:
    """The entropy of the frequencies of the ids, in nats: no model that ignores the context has a smaller loss.

    >>> round(unigram_entropy(np.array([7, 7, 3, 3])), 4)
    0.6931
    """
    counts = np.unique_counts(ids).counts
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
