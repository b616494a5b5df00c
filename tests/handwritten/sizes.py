"""Sizes that the modules of this folder are built with, and the model that each of them stands in."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from tests.modules import Block


@dataclass(frozen=True)
class Sizes:
    """``dim`` is that of a head and even, for rotary; the other axes have sizes of their own where they can."""

    width: int
    heads: int
    dim: int
    wide: int
    vocabulary: int

    @property
    def inner(self) -> int:
        return self.heads * self.dim

    def block(self, mix: nn.Module) -> nn.Module:
        """``mix`` on a residual, between an embedding and a head."""
        return Block(mix, self.width, self.vocabulary)


ODD = Sizes(width=10, heads=3, dim=4, wide=7, vocabulary=13)
TINY = Sizes(width=4, heads=2, dim=4, wide=3, vocabulary=3)
