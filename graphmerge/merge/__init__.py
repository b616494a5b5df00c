"""Averaging the weights of aligned models."""

from graphmerge.merge.combine import combine, interpolate
from graphmerge.merge.merge import merge

__all__ = ["combine", "interpolate", "merge"]
