"""Groups, pins and permutations: what the derivation finds and the matching moves."""

from graphmerge.symmetry.groups import Axis, Block, Group, Move, Part, Pin, Run, Symmetry
from graphmerge.symmetry.permutations import Permutations

__all__ = ["Axis", "Block", "Group", "Move", "Part", "Permutations", "Pin", "Run", "Symmetry"]
