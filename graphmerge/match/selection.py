"""Which groups take part: named by patterns, or chosen by the loss halfway between the models."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from graphmerge.errors import InputError
from graphmerge.match.roles import WORDS, kind, role
from graphmerge.symmetry import Symmetry

CLEARLY = 1e-3


def named_groups(symmetry: Symmetry, patterns: str | Sequence[str]) -> tuple[str, ...]:
    """The groups that the patterns name, with all the groups over them.

    A pattern is a glob over whole names or over their last parts: ``ffn`` is every ``layers.*.ffn``, ``heads`` every
    heads with its ``qk`` and ``v``. A comma stands between patterns. The word ``attention`` is all that has a role
    there, whether there are heads or not: ``heads``, ``query_heads``, ``qk``, ``v``.

    Raises:
        InputError: a pattern names nothing.
    """
    wanted = [p.strip() for p in (patterns.split(",") if isinstance(patterns, str) else patterns)]
    if not any(wanted):
        raise InputError('groups names no group; to move nothing use method="identity"')
    named: set[str] = set()
    for pattern in wanted:
        found = {name for name in symmetry.sizes if _is_named(name, pattern)}
        if not any(g.name in found or found & set(g.over) for g in symmetry.groups):
            words = [word for word, roles in WORDS.items() if any(role(name) in roles for name in symmetry.sizes)]
            known = [*_folded(symmetry.by_name), *(f"the word {word}" for word in words)]
            raise InputError(f"no group is called {pattern!r}; there are {', '.join(known)}")
        named |= found
    return tuple(g.name for g in symmetry.groups if g.name in named or named & set(g.over))


def _is_named(name: str, pattern: str) -> bool:
    named = fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(kind(name), pattern)
    return named or role(name) in WORDS.get(pattern, ())


def _folded(names: Iterable[str]) -> list[str]:
    """The names, layers drawn together as a pattern would."""
    return list(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names))


def kinds(symmetry: Symmetry) -> dict[str, tuple[str, ...]]:
    """The groups by the kind of their outermost base: heads with all that is over them, in all layers, are one kind."""
    found: dict[str, list[str]] = {}
    for group in symmetry.groups:
        outermost = next((b for b in group.over if b not in symmetry.by_name or not symmetry[b].over), group.name)
        found.setdefault(kind(outermost), []).append(group.name)
    return {name: tuple(groups) for name, groups in found.items()}


@dataclass(frozen=True)
class Choice:
    """Kinds of groups that take part, and the barrier halfway between A and B when they are matched."""

    kinds: tuple[str, ...]
    barrier: float

    def __str__(self) -> str:
        return f"{' + '.join(self.kinds) or 'nothing'} {self.barrier:.4f}"


def choose_kinds(
    names: Sequence[str], barrier: Callable[[tuple[str, ...]], float], rounding: float
) -> tuple[Choice, list[Choice]]:
    """The best choice of kinds, and all that were tried, best first.

    Starts with everything; as long as the barrier falls, one kind is left out or taken back. Then nothing at all is
    compared. A fall counts from `CLEARLY` of nothing's barrier on; if that is below ``rounding``, from ``rounding`` on.
    """
    tried: dict[tuple[str, ...], Choice] = {}

    def measured(chosen: tuple[str, ...]) -> Choice:
        if chosen not in tried:
            tried[chosen] = Choice(chosen, barrier(chosen))
        return tried[chosen]

    nothing, best = measured(()), measured(tuple(names))
    least = CLEARLY * nothing.barrier if nothing.barrier > rounding else rounding
    while True:
        near = [tuple(n for n in names if (n in best.kinds) != (n == other)) for other in names]
        step = min((measured(chosen) for chosen in near), key=lambda choice: choice.barrier, default=best)
        if step.barrier >= best.barrier - least:
            break
        best = step
    best = nothing if nothing.barrier < best.barrier - least else best
    return best, sorted(tried.values(), key=lambda choice: choice.barrier)


def choose_groups(
    symmetry: Symmetry, allowed: Sequence[str], barrier: Callable[[tuple[str, ...]], float], ends: float
) -> tuple[tuple[str, ...], str]:
    """Which of the groups that are allowed to take part do, by `choose_kinds`, and all that was tried, in words.

    Args:
        barrier: what is left of it when these groups are matched.
        ends: the mean loss of the models themselves; 1 % of it is rounding.
    """
    by_kind = {
        name: own for name, groups in kinds(symmetry).items() if (own := tuple(g for g in groups if g in allowed))
    }

    def of(chosen: tuple[str, ...]) -> tuple[str, ...]:
        named = {group for name in chosen for group in by_kind[name]}
        return tuple(group for group in symmetry.by_name if group in named)

    best, tried = choose_kinds(tuple(by_kind), lambda chosen: barrier(of(chosen)), rounding=0.01 * abs(ends))
    return of(best.kinds), "; ".join(map(str, tried))
