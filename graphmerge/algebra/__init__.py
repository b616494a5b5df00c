"""The algebra: equations over letters in, leaves and layouts out. Pure: numpy only, no torch."""

from graphmerge.algebra.equation import Equation, EquationError, Origin, System, Tensor, Term, Window, equation
from graphmerge.algebra.solve import Factor, Leaf, Solution, SolvedBox, solve

__all__ = [
    "Equation",
    "EquationError",
    "Factor",
    "Leaf",
    "Origin",
    "Solution",
    "SolvedBox",
    "System",
    "Tensor",
    "Term",
    "Window",
    "equation",
    "solve",
]
