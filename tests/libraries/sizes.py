"""Sizes of the models of this folder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """``dim`` is that of a head, where it may differ from ``width / heads``."""

    width: int
    heads: int
    dim: int
    wide: int
    vocabulary: int
    layers: int


ODD = Sizes(width=12, heads=3, dim=4, wide=10, vocabulary=7, layers=2)
TINY = Sizes(width=4, heads=2, dim=2, wide=3, vocabulary=3, layers=1)
