"""What two models read on the same data, as stages to be solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch
from graphmerge.match.activations import activation_terms
from graphmerge.match.ascent import Progress
from graphmerge.match.features import Features
from graphmerge.match.options import MatchOptions
from graphmerge.match.stages import Stage, stages_of
from graphmerge.merge.inputs import Input
from graphmerge.stats import collect
from graphmerge.stats.positions import IDS, Samples
from graphmerge.symmetry import Symmetry


@dataclass(frozen=True, eq=False)
class Reader:
    """How activations are read and compared: on which batches, of which groups (``allowed``)."""

    symmetry: Symmetry
    allowed: tuple[str, ...]
    similarity: str
    options: MatchOptions
    batches: Sequence[Batch] | None
    device: torch.device
    progress: Progress | None = None

    def stages(self, a: Input, b: Input) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
        """The terms of both models together, in stages, and what could not be read.

        Raises:
            InputError: a bare state dict, no data, or options that do not fit the model or its batches.
        """
        if a.module is None or b.module is None or self.batches is None:
            raise InputError('method="activations" runs both models: give modules (or directories) and data')
        features, samples = Features(self.symmetry, self.options, self.allowed), _samples(self.options, self.batches)
        found = collect(
            a.module, b.module, self.symmetry, self.batches, self.allowed, self.device, self.progress,
            samples=samples, written=features.written, chosen=features.chosen,
        )  # fmt: skip
        terms = activation_terms(found.taps, self.similarity, self.options.absolute)
        counts = [features.counts(t.tap) for t in found.taps]
        return stages_of(terms, counts, self.symmetry, features.heads), found.notes


def _samples(options: MatchOptions, batches: Sequence[Batch]) -> Samples:
    """What counts in the batches, and as what."""
    if options.special_tokens:
        return Samples(options.level)
    if not options.special_ids:
        raise InputError("special_tokens: false needs special_ids, the ids of these tokens")
    for batch in batches:
        if not isinstance(batch, Mapping) or not any(isinstance(batch.get(name), torch.Tensor) for name in IDS):
            raise InputError(
                f"special_tokens: false needs batches with ids ({' or '.join(IDS)}), to know the tokens by"
            )
    return Samples(options.level, options.special_ids)
