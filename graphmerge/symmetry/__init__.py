"""Groups, pins and permutations: what the derivation finds and the matching moves."""

from graphmerge.symmetry.actions import DUAL, PRIMAL, SIDES, STILL, Action
from graphmerge.symmetry.blocks import UNKNOWN, Axis, Block, Move, Part, Run
from graphmerge.symmetry.groups import KINDS, Group, Pin, Symmetry
from graphmerge.symmetry.members import axes_of, members_of
from graphmerge.symmetry.permutations import Permutations
from graphmerge.symmetry.rotary import Rotary

__all__ = [
    "DUAL",
    "KINDS",
    "PRIMAL",
    "SIDES",
    "STILL",
    "UNKNOWN",
    "Action",
    "Axis",
    "Block",
    "Group",
    "Move",
    "Part",
    "Permutations",
    "Pin",
    "Rotary",
    "Run",
    "Symmetry",
    "axes_of",
    "members_of",
]
