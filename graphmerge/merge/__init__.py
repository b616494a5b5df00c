"""Averaging the weights of aligned models."""

from graphmerge.merge.combine import combine, interpolate
from graphmerge.merge.merge import merge
from graphmerge.merge.shares import Interpolation, Shares, check_kept, check_weights, kept_keys, named_tensors
from graphmerge.merge.stored import Part, write_merged

__all__ = [
    "Interpolation",
    "Part",
    "Shares",
    "check_kept",
    "check_weights",
    "combine",
    "interpolate",
    "kept_keys",
    "merge",
    "named_tensors",
    "write_merged",
]
