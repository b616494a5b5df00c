"""Permutation symmetries of traced Transformers: derive, prove, match, merge, measure."""

from graphmerge.errors import (
    ArchitectureMismatch,
    GraphMergeError,
    InputError,
    NotEquivariant,
    SpecError,
    TraceError,
    UnknownOp,
)
from graphmerge.graph import ConstraintGraph, trace
from graphmerge.symmetry import Axis, Group, Permutations, Pin, Symmetry

__version__ = "0.1.0"

__all__ = [
    "ArchitectureMismatch",
    "Axis",
    "ConstraintGraph",
    "GraphMergeError",
    "Group",
    "InputError",
    "NotEquivariant",
    "Permutations",
    "Pin",
    "SpecError",
    "Symmetry",
    "TraceError",
    "UnknownOp",
    "trace",
]
