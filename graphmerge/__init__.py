"""Permutation symmetries of traced Transformers: derive, prove, match, merge, measure."""

__version__ = "0.1.0"  # before the imports: saved files name it

from graphmerge.certificate import Certificate, certify
from graphmerge.errors import (
    ArchitectureMismatch,
    GraphMergeError,
    InputError,
    NotEquivariant,
    SpecError,
    TraceError,
    UnknownOp,
)
from graphmerge.evaluate import Curve, Evaluation, barrier, evaluate
from graphmerge.graph import ConstraintGraph, trace
from graphmerge.match import Match, match
from graphmerge.merge import merge
from graphmerge.spec import load_spec
from graphmerge.symmetry import Axis, Group, Permutations, Pin, Symmetry
from graphmerge.verify import Verification, verify

__all__ = [
    "ArchitectureMismatch",
    "Axis",
    "Certificate",
    "ConstraintGraph",
    "Curve",
    "Evaluation",
    "GraphMergeError",
    "Group",
    "InputError",
    "Match",
    "NotEquivariant",
    "Permutations",
    "Pin",
    "SpecError",
    "Symmetry",
    "TraceError",
    "UnknownOp",
    "Verification",
    "barrier",
    "certify",
    "evaluate",
    "load_spec",
    "match",
    "merge",
    "trace",
    "verify",
]
