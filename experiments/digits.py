"""Handwritten digits for the small vision models: 1,797 real 8x8 images that come with scikit-learn.

They are of the UCI repository's test set (Alpaydin and Kaynak), digits of 13 people. The three parts share no image;
they do share the people.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from graphmerge.errors import InputError

SIDE, CLASSES = 8, 10
PARTS = {"validation": slice(0, 512), "calibration": slice(512, 768), "train": slice(768, None)}  # of a fixed order
LARGEST = 16  # the images' brightness goes from 0 to this
SHIFT = 1  # pixels, at most, that training moves an image by


@cache
def images(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images of a part, float32 from -1 to 1, (images, 1, 8, 8), and their digits, int64, (images,).

    Raises:
        InputError: there is no such part.
    """
    if part not in PARTS:
        raise InputError(f"the digits have no part {part!r}; there are {', '.join(PARTS)}")
    found: Any = load_digits()  # a Bunch, which type checkers take for a tuple
    pixels, digits = np.asarray(found["images"]), np.asarray(found["target"])
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(digits))[PARTS[part]]
    scaled = (pixels[order] / LARGEST * 2 - 1).astype(np.float32)
    return scaled[:, None], digits[order].astype(np.int64)


def shifted(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to one pixel up or down and left or right, background where it left: (images, 1, 8, 8)."""
    padded = np.pad(rows, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)), constant_values=-1)
    down, right = rng.integers(0, 2 * SHIFT + 1, (2, len(rows), 1))
    span = np.arange(SIDE)
    picked = np.arange(len(rows))[:, None, None]
    return padded[picked, 0, (down + span)[:, :, None], (right + span)[:, None, :]][:, None]


def batch(rows: np.ndarray, digits: np.ndarray) -> dict[str, torch.Tensor]:
    """Images and digits as a model takes them."""
    return {"pixel_values": torch.from_numpy(rows), "labels": torch.from_numpy(digits)}


def batches(part: str, count: int, size: int) -> Iterator[dict[str, torch.Tensor]]:
    """The first ``count`` batches of ``size`` images of a part, as they are; fewer where the part ends before.

    Raises:
        InputError: there is no such part.
    """
    rows, digits = images(part)
    starts = range(0, min(len(digits), count * size), size)
    return (batch(rows[at : at + size], digits[at : at + size]) for at in starts)


def calibration() -> list[dict[str, torch.Tensor]]:
    """The whole calibration part, for the experiments' files."""
    return list(batches("calibration", 8, 32))


def validation() -> list[dict[str, torch.Tensor]]:
    """The whole validation part, for the experiments' files."""
    return list(batches("validation", 8, 64))
