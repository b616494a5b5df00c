"""Text from data sets of the Hugging Face hub, by the ``datasets`` package where it is installed."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

from graphmerge.errors import InputError
from graphmerge.recipe.schema import Dataset


def dataset_text(dataset: Dataset) -> str:
    """The rows of a column, with empty lines between them.

    Raises:
        InputError: the package is not installed, there is no such data set, split or column, or it holds no text.
    """
    try:
        datasets: Any = importlib.import_module("datasets")  # an optional dependency, and a large one
    except ImportError:
        raise InputError("data sets need the package datasets: pip install 'graphmerge[datasets]'") from None
    found: Any = None
    try:
        if (Path(dataset.name) / "state.json").is_file() or (Path(dataset.name) / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(dataset.name)
            found = found[dataset.split] if isinstance(found, datasets.DatasetDict) else found
        else:
            found = datasets.load_dataset(
                dataset.name, dataset.config, split=dataset.split, revision=dataset.revision, streaming=True
            )
        names = found.column_names or list(next(iter(found.take(1))))
    except Exception as error:  # the package and the hub raise dozens of kinds
        reason = next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), "no reason given")
        raise InputError(f"data set {dataset.name!r} cannot be read ({type(error).__name__}: {reason})") from None
    if dataset.column not in names:
        raise InputError(f"data set {dataset.name!r} has no column {dataset.column!r}; it has {', '.join(names)}")
    rows = [row[dataset.column] for row in found.take(dataset.rows)]
    if not rows or not all(isinstance(row, str) for row in rows):
        raise InputError(f"column {dataset.column!r} of data set {dataset.name!r} holds no text")
    return "\n\n".join(rows)


def text_digest(text: str) -> dict[str, str]:
    """SHA-256 of the text that was read."""
    return {"text": hashlib.sha256(text.encode()).hexdigest()}
