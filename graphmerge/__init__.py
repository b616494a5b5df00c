"""Permutation symmetries of traced Transformers: derive, prove, match, merge, measure."""

__version__ = "0.1.0"  # before the imports: saved files name it

from graphmerge.certificate import Certificate, certify
from graphmerge.compare import Comparison, check, compare
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
from graphmerge.match import Match, Matches, MatchOptions, match, match_many
from graphmerge.merge import merge
from graphmerge.resolve import load_spec
from graphmerge.rules import Call
from graphmerge.rules.custom import rule
from graphmerge.sweep import Curves, Sweep, sweep
from graphmerge.symmetry import Axis, Group, Permutations, Pin, Symmetry
from graphmerge.verify import RuleCheck, Verification, check_rule, verify

__all__ = [
    "ArchitectureMismatch",
    "Axis",
    "Call",
    "Certificate",
    "Comparison",
    "ConstraintGraph",
    "Curve",
    "Curves",
    "Evaluation",
    "GraphMergeError",
    "Group",
    "InputError",
    "Match",
    "MatchOptions",
    "Matches",
    "NotEquivariant",
    "Permutations",
    "Pin",
    "RuleCheck",
    "SpecError",
    "Sweep",
    "Symmetry",
    "TraceError",
    "UnknownOp",
    "Verification",
    "barrier",
    "certify",
    "check",
    "check_rule",
    "compare",
    "evaluate",
    "load_spec",
    "match",
    "match_many",
    "merge",
    "rule",
    "sweep",
    "trace",
    "verify",
]
