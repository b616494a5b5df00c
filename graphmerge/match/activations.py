"""Matching by activations: ``Σ over taps of the similarity of units over tokens``.

Verma and Elbayad, Merging Text Transformer Models from Different Initializations (arXiv 2403.00986).
"""

from __future__ import annotations

from graphmerge.errors import InputError
from graphmerge.match.terms import Similarity
from graphmerge.stats import Moments, Statistics

SIMILARITIES = {
    "correlation": Moments.correlation,
    "covariance": Moments.covariance,
    "inner_product": Moments.inner_product,
}


def activation_terms(statistics: Statistics, similarity: str) -> list[Similarity]:
    """One term a tap: the similarity of its joint units in A with those in B.

    Raises:
        InputError: there is no such similarity.
    """
    if similarity not in SIMILARITIES:
        raise InputError(f"similarity {similarity!r} is unknown; it is one of {', '.join(SIMILARITIES)}")
    measure = SIMILARITIES[similarity]
    return [Similarity(measure(s.moments).cpu().numpy().reshape(s.tap.sizes * 2), s.tap.slots) for s in statistics.taps]
