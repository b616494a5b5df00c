"""Comparing symmetries, and specs, by meaning: missing ties, wrong ties, missing freedom."""

from graphmerge.compare.check import check
from graphmerge.compare.comparison import Comparison, compare
from graphmerge.compare.reasons import Freedom, Tie

__all__ = ["Comparison", "Freedom", "Tie", "check", "compare"]
