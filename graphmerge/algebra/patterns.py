"""How an equation falls on the boxes of its tensors, worked out once for all equations that are alike.

Layers repeat: what two equations say is the same if they have the same letters in the same places, and if letters and
axes have the same choices. Only the tensors differ.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from graphmerge.algebra.choices import Factors, LetterKey, aligned, axis_choice
from graphmerge.algebra.equation import AxisExpr, Equation, letter_of
from graphmerge.algebra.structure import Choice, Conflict

Options = tuple[Choice, ...]  # the choices of a letter, or of an axis
Place = tuple[int, int]  # a term of an equation, and a dim of its box


@dataclass(frozen=True, slots=True)
class Pattern:
    """One choice for each letter: for each term its box, as a choice for each axis, and the letter of each factor.

    ``ties`` are places that one leaf must have, ``first`` with each of the others; ``pins`` are places of letters that
    the equation pins; ``lost`` are single units that a term does not spell.
    """

    choice: dict[str, int]
    boxes: tuple[tuple[int, ...], ...]
    letters: tuple[tuple[LetterKey | None, ...], ...]
    ties: tuple[tuple[Place, Place], ...]
    pins: tuple[tuple[str, Place], ...]
    lost: tuple[Place, ...]


class Patterns:
    """Patterns by what equations have in common. Options are told apart by identity: equal ones must be one object."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[Pattern, ...]] = {}
        self._indices: dict[int, dict[tuple[int, Factors], int]] = {}

    def of(
        self, eq: Equation, letters: dict[str, Options], axes: list[list[Options]], tensors: list[str]
    ) -> tuple[Pattern, ...]:
        """All patterns of an equation.

        Args:
            eq: the equation.
            letters: the options of each letter.
            axes: for each term, the options of each axis of its tensor.
            tensors: the tensor of each term, for the message.

        Raises:
            Conflict: an axis has no box where the letters choose.
        """
        key = (
            tuple([term.axes for term in eq.terms]),
            tuple(eq.sizes.items()),
            tuple(eq.pins),
            tuple(map(id, letters.values())),
            tuple([id(options) for term in axes for options in term]),
        )
        found = self._known.get(key)
        if found is None:
            picks = itertools.product(*(range(len(options)) for options in letters.values()))
            found = tuple(self._pattern(eq, dict(zip(letters, picked)), letters, axes, tensors) for picked in picks)
            self._known[key] = found
        return found

    def _pattern(
        self,
        eq: Equation,
        choice: dict[str, int],
        options: dict[str, Options],
        axes: list[list[Options]],
        tensors: list[str],
    ) -> Pattern:
        chosen = {letter: options[letter][i] for letter, i in choice.items()}
        boxes, letters = [], []
        for term, own, tensor in zip(eq.terms, axes, tensors):
            box, keys = self._locate(term.axes, own, tensor, chosen, eq)
            boxes.append(box)
            letters.append(keys)
        first: dict[LetterKey, Place] = {}
        ties, pins = [], []
        for place, keys in enumerate(letters):
            for dim, key in enumerate(keys):
                if key is None:
                    continue
                if first.setdefault(key, (place, dim)) != (place, dim):
                    ties.append((first[key], (place, dim)))
                if key[0] in eq.pins:
                    pins.append((key[0], (place, dim)))
        lost = _lost_units(eq, axes, boxes, letters, first)
        return Pattern(choice, tuple(boxes), tuple(letters), tuple(ties), tuple(pins), lost)

    def _locate(
        self, axes: tuple[AxisExpr, ...], own: list[Options], tensor: str, chosen: dict[str, Choice], eq: Equation
    ) -> tuple[tuple[int, ...], tuple[LetterKey | None, ...]]:
        """The box of a term when its letters make these choices, and the letter of each of its occurrences."""
        picked: list[int] = []
        keys: list[LetterKey | None] = []
        for axis, (expr, options) in enumerate(zip(axes, own)):
            choice, spelled = axis_choice(expr, chosen, eq.sizes)
            index = self._index(options).get(choice.key)
            if index is None:
                raise Conflict(f"axis {axis} of {tensor} has no box {choice}")
            picked.append(index)
            keys += aligned(options[index].factors, choice.factors, spelled)
        return tuple(picked), tuple(keys)

    def _index(self, options: Options) -> dict[tuple[int, Factors], int]:
        if id(options) not in self._indices:
            self._indices[id(options)] = {choice.key: i for i, choice in enumerate(options)}
        return self._indices[id(options)]


def _lost_units(
    eq: Equation,
    axes: list[list[Options]],
    boxes: list[tuple[int, ...]],
    letters: list[tuple[LetterKey | None, ...]],
    first: dict[LetterKey, Place],
) -> tuple[Place, ...]:
    """A unit that a term does not spell, though it stands in the term's box, must not coarsen.

    It is singled out by the op without being named: pinning one unit costs nothing.
    """
    factors = [
        [(axis, size) for axis, (options, index) in enumerate(zip(own, box)) for size, _ in options[index].factors]
        for own, box in zip(axes, boxes)
    ]
    lost: dict[Place, None] = {}
    for place, (term, keys) in enumerate(zip(eq.terms, letters)):
        for dim, key in enumerate(keys):
            if key is None and term.axes[factors[place][dim][0]]:
                lost[place, dim] = None
        spoken = {letter_of(item) for axis in term.axes for item in axis}
        for key, (there, dim) in first.items():
            if key[0] in spoken and key not in keys and factors[there][dim][1] == 1:
                lost[there, dim] = None
    return tuple(lost)
