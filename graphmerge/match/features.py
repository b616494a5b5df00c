"""Which taps are the features of which groups: the residual's first or last, and by what heads are told apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphmerge.errors import InputError
from graphmerge.match.options import MatchOptions
from graphmerge.match.roles import HEADS, QUERY_KEY, RESIDUAL, VALUE, role
from graphmerge.stats import Tap
from graphmerge.stats.watch import OUTPUT
from graphmerge.symmetry import Symmetry


@dataclass(frozen=True)
class Features:
    """The choice of taps that ``options`` make for the groups that take part (``allowed``).

    Raises:
        InputError: an option is about groups that do not take part, or that the model has not.
    """

    symmetry: Symmetry
    options: MatchOptions
    allowed: tuple[str, ...]

    def __post_init__(self) -> None:
        options = self.options
        if options.residual_features != "all" and not self._of(RESIDUAL):
            raise InputError(
                f"residual_features: {options.residual_features} needs a residual that takes part; there are "
                f"{', '.join(self.allowed)}"
            )
        if options.head_features != "both" and not self.heads:
            raise InputError(
                f"head_features: {options.head_features} needs heads that take part; there are "
                f"{', '.join(self.allowed)}"
            )

    @property
    def heads(self) -> frozenset[str]:
        """The heads that move."""
        return self._of(*HEADS)

    @property
    def written(self) -> frozenset[str]:
        """Groups to be read where they are written too: a value alone consumes what queries and keys write."""
        return self.heads if self.options.head_features == "query_key" else frozenset()

    def chosen(self, taps: list[Tap]) -> list[Tap]:
        """Those of the taps (in the order of the forward pass) that are read."""
        if self.written:  # values are read where they are consumed
            consumed = {group for tap in taps if tap.site.side != OUTPUT for group in tap.groups}
            taps = [t for t in taps if t.site.side != OUTPUT or not self._is_value(t) or t.groups - consumed]
        if self.options.residual_features in ("first", "last"):
            for group in sorted(self._of(RESIDUAL)):
                of = [tap for tap in taps if group in tap.groups]
                kept = of[:1] if self.options.residual_features == "first" else of[-1:]
                taps = [tap for tap in taps if tap in kept or tap not in of]
        self._check(taps)
        return taps

    def counts(self, tap: Tap) -> bool:
        """Does a tap count for the heads that it reads?"""
        match self.options.head_features:
            case "both":
                return True
            case "value":
                return not tap.groups & self.heads or self._is_value(tap)
            case "query_key":
                return not tap.groups & self.heads or self._is_query_key(tap)

    def _is_value(self, tap: Tap) -> bool:
        return any(role(group) == VALUE for group in tap.groups)

    def _is_query_key(self, tap: Tap) -> bool:
        """Queries or keys: what is inside their heads has that role, or is pinned, as by a rotary table."""
        roles = {role(group) for group in tap.groups}
        return QUERY_KEY in roles or (tap.site.side == OUTPUT and VALUE not in roles and self._has_values(tap))

    def _has_values(self, tap: Tap) -> bool:
        """Whether the values of these heads would show, so that what shows none is no value."""
        return all(
            any(role(g.name) == VALUE and base in g.over for g in self.symmetry.groups)
            for base in tap.groups
            if role(base) == HEADS[0]
        )

    def _check(self, taps: Iterable[Tap]) -> None:
        """All heads that move are read by what counts."""
        if self.options.head_features != "both":
            read = {group for tap in taps if self.counts(tap) for group in tap.groups}
            if blind := [group for group in self.allowed if group in self.heads - read]:
                raise InputError(
                    f"head_features: {self.options.head_features} leaves {', '.join(blind)} without any activation"
                )

    def _of(self, *roles: str) -> frozenset[str]:
        return frozenset(group for group in self.allowed if role(group) in roles)
