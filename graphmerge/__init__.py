"""Permutation symmetries of traced Transformers: derive, prove, match, merge, measure."""

__version__ = "0.1.0"
