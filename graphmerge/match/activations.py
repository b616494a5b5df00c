"""Matching by activations: ``Σ over taps of the similarity of units over tokens``.

Verma and Elbayad, Merging Text Transformer Models from Different Initializations (arXiv 2403.00986).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from graphmerge.match.options import check_word
from graphmerge.match.terms import Similarity
from graphmerge.stats import Moments
from graphmerge.stats.collect import TapStatistics

SIMILARITIES: Final = {
    "correlation": Moments.correlation,
    "covariance": Moments.covariance,
    "inner_product": Moments.inner_product,
}


def activation_terms(taps: Sequence[TapStatistics], similarity: str, absolute: bool = False) -> list[Similarity]:
    """One term a tap: the similarity of its joint units in A with those in B, or its absolute value.

    Raises:
        InputError: there is no such similarity.
    """
    check_word("similarity", similarity, tuple(SIMILARITIES))
    measure = SIMILARITIES[similarity]
    terms = []
    for read in taps:
        found = measure(read.moments).cpu()
        found = found.abs() if absolute else found
        terms.append(Similarity(found.numpy().reshape(read.tap.sizes * 2), read.tap.slots))
    return terms
