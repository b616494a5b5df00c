"""The paper's data as batches, for ``experiments/paper-*.yaml``: sentences of books, and the tasks of GLUE.

They come over the network by the package ``datasets``, and are read with the tokenizer that all MultiBERTs share. Every
row begins and ends with special tokens, and is padded to the longest of its batch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch
from transformers import AutoTokenizer

from graphmerge.errors import InputError

TOKENIZER = "google/multiberts-seed_0"
LENGTH = 128  # tokens, at most
SIZE = 32  # rows in a batch
ROWS = {"train": 20_000, "validation": 10_000}  # at most: statistics do not need all of MNLI
COLUMNS: dict[str, tuple[str, ...]] = {
    "cola": ("sentence",),
    "mnli": ("premise", "hypothesis"),
    "mrpc": ("sentence1", "sentence2"),
    "qnli": ("question", "sentence"),
    "qqp": ("question1", "question2"),
    "rte": ("sentence1", "sentence2"),
    "sst2": ("sentence",),
    "stsb": ("sentence1", "sentence2"),
}
BOOKS = "bookcorpus/bookcorpus", "refs/convert/parquet"  # the branch that needs no script
SENTENCES = 110_000  # about a tenth of what the paper calls all
LABELS = {"mnli": 3, "stsb": 1}  # all others have two classes; stsb is a number from 0 to 5
SPLITS = {("mnli", "validation"): "validation_matched"}

Batch = dict[str, torch.Tensor]


def hub_rows(name: str, config: str | None, split: str, revision: str | None = None) -> Iterable[Mapping[str, Any]]:
    """The rows of a data set of the hub, streamed.

    Raises:
        InputError: the package is not installed, or the hub cannot be reached.
    """
    try:
        datasets: Any = importlib.import_module("datasets")  # an optional dependency
    except ImportError:
        raise InputError(f"{name} needs the package datasets: pip install 'graphmerge[datasets]'") from None
    try:
        return datasets.load_dataset(name, config, split=split, revision=revision, streaming=True)
    except Exception as error:  # the package and the hub raise dozens of kinds
        raise InputError(f"{name} cannot be read ({type(error).__name__}: {error})") from None


def task_rows(task: str, split: str) -> Iterable[Mapping[str, Any]]:
    """The rows of a task of GLUE.

    Raises:
        InputError: as `hub_rows`.
    """
    return hub_rows("nyu-mll/glue", task, SPLITS.get((task, split), split))


def book_batches(count: int) -> list[Batch]:
    """The first ``count`` sentences of the books, without labels.

    Raises:
        InputError: as `hub_rows`.
    """
    rows = islice(hub_rows(BOOKS[0], None, "train", BOOKS[1]), count)
    return encoded(rows, ("text",), AutoTokenizer.from_pretrained(TOKENIZER), SIZE)


def encoded(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], tokenizer: Callable[..., Any], size: int
) -> list[Batch]:
    """Batches of ``size`` rows: ids (rows, tokens) padded to the longest, masks, and labels (rows) where rows have any.

    A label that is a fraction is a number to be guessed, any other a class.
    """
    found, left = [], iter(rows)
    while chunk := list(islice(left, size)):
        texts = [[str(row[column]) for row in chunk] for column in columns]
        batch = tokenizer(*texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
        labels = {"labels": torch.tensor([row["label"] for row in chunk])} if "label" in chunk[0] else {}
        found.append({**batch, **labels})
    return found


def task_batches(task: str, split: str) -> list[Batch]:
    """The first rows of a task's split as batches.

    Raises:
        InputError: as `hub_rows`.
    """
    rows = islice(task_rows(task, split), ROWS[split])
    return encoded(rows, COLUMNS[task], AutoTokenizer.from_pretrained(TOKENIZER), SIZE)


books, all_books = partial(book_batches, SENTENCES), partial(book_batches, 10 * SENTENCES)
cola_train, cola_validation = (partial(task_batches, "cola", split) for split in ROWS)
mnli_train, mnli_validation = (partial(task_batches, "mnli", split) for split in ROWS)
mrpc_train, mrpc_validation = (partial(task_batches, "mrpc", split) for split in ROWS)
qnli_train, qnli_validation = (partial(task_batches, "qnli", split) for split in ROWS)
qqp_train, qqp_validation = (partial(task_batches, "qqp", split) for split in ROWS)
rte_train, rte_validation = (partial(task_batches, "rte", split) for split in ROWS)
sst2_train, sst2_validation = (partial(task_batches, "sst2", split) for split in ROWS)
stsb_train, stsb_validation = (partial(task_batches, "stsb", split) for split in ROWS)
