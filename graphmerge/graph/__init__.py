"""The constraint graph and what follows from it."""

from graphmerge.graph.constraint_graph import ConstraintGraph, trace

__all__ = ["ConstraintGraph", "trace"]
