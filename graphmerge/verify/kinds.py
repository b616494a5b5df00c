"""Is each group's kind right? Random maps of its class must change no output; maps of larger classes must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch

from graphmerge.errors import InputError
from graphmerge.symmetry import KINDS, Action, Group, Move, Symmetry
from graphmerge.verify.edits import AXES_TRIED, axes_by_size, edited
from graphmerge.verify.maps import MONOMIAL, Acting, actions, element, moved, of_kind, opposite
from graphmerge.verify.torn import torn
from graphmerge.verify.trial import VISIBLE, Trial

KIND_TOLERANCE = 1e-8
WIDER: Mapping[str, tuple[str, ...]] = {  # the classes that come next
    "permutation": ("signed_permutation", "scaled_permutation", "orthogonal_fixing_ones"),
    "signed_permutation": ("scaled_permutation", "orthogonal"),
    "scaled_permutation": ("signed_permutation", "orthogonal"),
    "orthogonal_fixing_ones": ("orthogonal",),
    "rotary": ("orthogonal",),
    "orthogonal": ("invertible",),
    "invertible": (),
}


@dataclass(frozen=True)
class KindCheck:
    """What was found about one group's kind.

    Attributes:
        kind: the kind that was tried.
        error: relative change of the outputs under a random element of the class.
        broken: the same when one axis acts on the wrong side (dual for primal, no sign for a sign); None for
            permutations, where nothing acts but the permutation.
        wider: for each class that comes next, the change under a random element of it.
    """

    kind: str
    error: float
    broken: float | None = None
    wider: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.error <= KIND_TOLERANCE

    @property
    def widened(self) -> float | None:
        """The smallest change under a larger class; None for the largest."""
        return min(self.wider.values(), default=None)

    @property
    def cautious(self) -> bool:
        """Does some larger class not show? Then the kind may be smaller than it could be."""
        return self.widened is not None and self.widened < VISIBLE

    @property
    def untested(self) -> bool:
        """Does no wrong side show? Then the error proves nothing."""
        return self.broken is not None and self.broken < VISIBLE


def check_kinds(trial: Trial, others: Iterator[Trial]) -> dict[str, KindCheck]:
    """Every group of the trial's symmetry, and what rotary tables leave.

    ``others`` are tried where something that should show does not.

    Raises:
        InputError: a group's kind is more than permutations, and the symmetry does not say how it acts (a spec).
    """
    symmetry = trial.symmetry
    for group in symmetry.groups:
        _require_actions(symmetry, group)
    groups = {g.name: g for g in symmetry.groups if any(actions(symmetry, g.name))}
    groups |= {r.group.name: r.group for r in symmetry.rotary}
    checks = {name: _check(trial, group) for name, group in groups.items()}
    while unseen := [name for name, check in checks.items() if check.cautious or check.untested]:
        if (other := next(others, None)) is None:
            break
        checks |= {name: _most(checks[name], _check(other, groups[name])) for name in unseen}
    return checks


def _require_actions(symmetry: Symmetry, group: Group) -> None:
    found = list(actions(symmetry, group.name))
    needed = {"signed_permutation": any(a.signs for a in found), "scaled_permutation": any(a.scales for a in found)}
    if group.kind != KINDS[0] and not needed.get(group.kind, bool(found)):
        raise InputError(
            f"the symmetry does not say how maps of {group.name!r} ({group.kind}) act on each axis; derive it from the "
            "model instead of reading it from a spec"
        )


def _check(trial: Trial, group: Group) -> KindCheck:
    trial = trial.on(_with_rotary(trial, group.name))
    generator = torch.Generator().manual_seed(trial.seed + 1)
    symmetry = trial.symmetry
    acting = element(symmetry, group, generator)
    return KindCheck(
        group.kind,
        trial.change(moved(trial.given, symmetry, group.name, acting)),
        None if group.kind == KINDS[0] else _best_break(trial, group, acting),
        {
            kind: trial.change(moved(trial.given, symmetry, group.name, of_kind(symmetry, group, kind, generator)))
            for kind in wider(symmetry, group)
        },
    )


def _with_rotary(trial: Trial, group: str) -> Symmetry:
    """The symmetry that has a rotary group among its groups, and its layout; itself if the group is none."""
    symmetry = trial.symmetry
    for rotary in symmetry.rotary:
        if rotary.group.name == group:
            shapes = {key: tuple(trial.given[key].shape) for key in rotary.layout}
            groups = (*symmetry.groups, rotary.group)
            return replace(symmetry, groups=groups, layout=rotary.layout, shapes=shapes, rotary=())
    return symmetry


def _most(one: KindCheck, other: KindCheck) -> KindCheck:
    return KindCheck(
        one.kind,
        max(one.error, other.error),
        None if one.broken is None or other.broken is None else max(one.broken, other.broken),
        {kind: max(error, other.wider[kind]) for kind, error in one.wider.items()},
    )


def wider(symmetry: Symmetry, group: Group) -> tuple[str, ...]:
    """The classes that come next.

    Signs and scales of a base are maps of what is over it (all units of a head), so only mixing widens a base; and two
    units that keep their sum are permuted or stay.
    """
    found = WIDER[group.kind]
    if any(group.name in other.over for other in symmetry.groups):
        found = tuple(kind for kind in found if kind not in MONOMIAL)
    if group.kind == "scaled_permutation" and any(a.signs for a in actions(symmetry, group.name)):
        found = tuple(kind for kind in found if kind != "signed_permutation")
    if group.size == 2:
        found = tuple("orthogonal" if kind == "orthogonal_fixing_ones" else kind for kind in found)
    return found


def _best_break(trial: Trial, group: Group, acting: Acting) -> float:
    """The largest change when one axis acts on the wrong side; stops at the first that shows."""
    best = 0.0
    for broken in _breaks(trial, group):
        best = max(best, trial.change(moved(trial.given, broken, group.name, acting)))
        if best >= VISIBLE:
            break
    return best


def _breaks(trial: Trial, group: Group) -> Iterator[Symmetry]:
    """Each of the largest axes on the wrong side; then, as there may be one axis only, one row of it moved alone."""

    def wrong(move: Move) -> Move:
        return replace(move, action=opposite(group.kind, move.action or Action()))

    axes = axes_by_size(trial, group.name)
    for axis, tensors in axes[:AXES_TRIED]:
        yield edited(trial.symmetry, group.name, axis, tensors, wrong)
    yield from torn(trial.symmetry, group.name, axes[0][1])
