"""Averaging the weights of aligned models."""

from graphmerge.merge.combine import combine, interpolate
from graphmerge.merge.merge import merge
from graphmerge.merge.shares import Interpolation, Shares, check_weights
from graphmerge.merge.stored import Part, write_merged

__all__ = ["Interpolation", "Part", "Shares", "check_weights", "combine", "interpolate", "merge", "write_merged"]
