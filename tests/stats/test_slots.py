"""Slots of a block: one for every move, one for every pinned leaf that moves are over."""

from graphmerge.stats import Slot, slots_of
from graphmerge.symmetry import Block, Group, Move, Pin, Run, Symmetry


def test_moves_bases_and_pairs():
    groups = (Group("pair", 6), Group("d", 5, ("pin",)), Group("v", 4, ("heads",)), Group("heads", 3))
    symmetry = Symmetry(groups, (Pin((), "for the test", "pin", 2),), {}, {})
    run = Run(0, (2, 3, 2, 5, 3, 4), (360, 120, 60, 12, 4, 1))
    moves = (Move("v", (5,), (4,)), Move("heads", (4,)), Move("pair", (1, 0)), Move("d", (3,), (2,)))
    slots, dims = slots_of(Block((run,), moves), symmetry)
    assert slots == (Slot("v", (1,)), Slot("heads"), Slot("pair"), Slot("d", (4,)), Slot("pin"))
    assert dims == [(5,), (4,), (1, 0), (3,), (2,)]
