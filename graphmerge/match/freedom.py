"""What may move, by the options: less than all that a symmetry lets move, or, where that is asked for, more."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from graphmerge.errors import InputError, SpecError
from graphmerge.evaluate.batches import Batch
from graphmerge.match.features import Features
from graphmerge.match.options import MatchOptions
from graphmerge.match.roles import HEADS, RESIDUAL, role
from graphmerge.stats.places import reading_places
from graphmerge.symmetry import Symmetry

Freedom = tuple[Symmetry, tuple[str, ...]]  # and the groups of it that take part


def freedom(
    symmetry: Symmetry, allowed: tuple[str, ...], options: MatchOptions, run: tuple[nn.Module, Sequence[Batch]] | None
) -> Freedom:
    """The symmetry in which models are matched, and the groups of it that take part.

    Args:
        allowed: the groups of ``symmetry`` that may take part.
        run: the first model and its batches, where there are any.

    Raises:
        InputError: the options are about groups that do not take part.
    """
    try:
        if options.heads == "in_place":
            allowed = _in_place(symmetry, allowed)
        elif options.heads == "ignored":
            symmetry, allowed = _ignored(symmetry, allowed)
        if options.residual_features == "separate" and run is not None:
            symmetry, allowed = _separate(symmetry, allowed, *run)
    except SpecError as error:
        raise InputError(str(error)) from None
    return symmetry, allowed


def check_groups(symmetry: Symmetry, allowed: tuple[str, ...], options: MatchOptions) -> None:
    """What can be known without a model: the groups that the options are about take part.

    Raises:
        InputError: they do not.
    """
    moving, allowed = freedom(symmetry, allowed, options, None)
    Features(moving, options, allowed)


def _in_place(symmetry: Symmetry, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """All but heads; those that a pin holds are in place anyway."""
    moving = tuple(group for group in allowed if role(group) not in HEADS)
    inside = [group for group in moving if any(role(base) in HEADS for base in symmetry[group].over)]
    if moving == allowed and not inside:
        raise InputError(f"heads: in_place needs heads that take part; there are {', '.join(allowed)}")
    if not moving:
        raise InputError("heads: in_place leaves nothing to move: there is no group inside the heads")
    return moving


def _ignored(symmetry: Symmetry, allowed: tuple[str, ...]) -> Freedom:
    """One permutation over the units of all heads; what moves heads alone stands still."""
    inside = [group for group in allowed if any(role(base) in HEADS for base in symmetry[group].over)]
    bases = {base for group in inside for base in symmetry[group].over if role(base) in HEADS}
    if not [group for group in inside if role(group) not in HEADS]:
        raise InputError(
            f"heads: ignored needs heads with groups inside that take part; there are {', '.join(allowed)}"
        )
    bases |= {g.name for g in symmetry.groups if role(g.name) in HEADS and bases & set(g.over)}
    found = symmetry.flatten(*sorted(bases))
    return found, tuple(group for group in allowed if group not in bases)


def _separate(symmetry: Symmetry, allowed: tuple[str, ...], model: nn.Module, batches: Sequence[Batch]) -> Freedom:
    """The residual taken apart into a group for every place where it is read."""
    residuals = [group for group in allowed if role(group) == RESIDUAL]
    if not residuals:
        raise InputError(
            f"residual_features: separate needs a residual that takes part; there are {', '.join(allowed)}"
        )
    for group in residuals:
        places = reading_places(model, batches[0], symmetry, group)
        if len(set(places.values())) < 2:
            raise InputError(f"residual_features: separate finds one place alone where {group} is read")
        before = set(symmetry.by_name)
        symmetry = symmetry.untie(group, places)
        new = tuple(name for name in symmetry.by_name if name not in before)
        at = allowed.index(group)
        allowed = (*allowed[:at], *new, *allowed[at + 1 :])
    return symmetry, allowed
