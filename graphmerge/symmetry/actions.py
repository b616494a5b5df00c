"""How a map of a group acts on one axis, beyond the permutation that it contains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRIMAL, DUAL, STILL = "primal", "dual", "still"
SIDES: Final = (PRIMAL, DUAL, STILL)


@dataclass(frozen=True, slots=True)
class Action:
    """What an element of a group's class does to one axis that the group moves.

    Every class contains permutations, and those move all axes alike. Beyond them:

    Attributes:
        side: a linear map M (of the orthogonal, rotary and invertible kinds) acts as itself on a ``primal`` axis and as
            its inverse transpose on a ``dual`` one; gains of norms stand ``still``, whatever the map.
        scales: for kinds of signed or scaled permutations, the powers of the group's free positive scales that the
            axis is multiplied by, unit by unit: a feed-forward between ReLUs has ``(1,)`` before and ``(-1,)`` after.
            Its length is the number of free scales, the same on all axes of a group.
        signs: the same for the free signs; only whether a power is odd matters.
    """

    side: str = PRIMAL
    scales: tuple[int, ...] = ()
    signs: tuple[int, ...] = ()
