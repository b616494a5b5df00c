"""The same architecture, tiny: few layers, few heads, small widths; what ties sizes to each other is kept.

Nothing here knows an architecture. Numbers are told apart by their names; equal widths stay equal, heads still divide
widths, grouped queries stay grouped, each kind of layer stays once, token ids stay inside the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from graphmerge.shrink.plan import Plan, plan
from graphmerge.shrink.stages import two_stages

SIDES: Final = (8, 16, 32, 64)  # pixels a side of a picture, tried in this order
WIDER: Final = ((64, 24), (64, 32), (128, 32))  # and units of widths that more numbers divide
# What is tried without, in this order, where the whole plan fails.
STAGES: Final = (
    "groups",
    "mels",
    "window",
    "latents",
    "patch",
    "buckets",
    "state",
    "rank",
    "one",
    "positions",
    "reach",
    "few",
    "image",
)


def shrink(config: Any, works: Callable[[Any], object] | None = None) -> Any:
    """A small config of the same class, as a copy.

    Args:
        config: a Hugging Face config, nested ones included.
        works: builds and runs a model of a config, and raises where that fails. Then pictures are made larger, and
            after that single roles of numbers are left as they were, until it does not.

    Raises:
        Exception: what ``works`` raised for the last whole plan, if no part of it works either.
    """
    whole: Exception | None = None
    for start, attempt, without in _attempts(config):
        small = attempt.apply(start, without)
        if works is None:
            return small
        try:
            works(small)
        except Exception as error:  # whatever a model raises that cannot be built or run
            whole = whole if without else error
        else:
            return small
    assert whole is not None
    raise whole


def _attempts(config: Any) -> Iterator[tuple[Any, Plan, frozenset[str]]]:
    """Configs to start from, plans, and what to leave out of these: of two stages, if possible, else of all."""
    cut = two_stages(config)
    starts = [config] if cut is None else [cut, config]
    for start in starts:
        yield from ((start, plan, frozenset()) for plan in _whole(start))
    for start in starts:
        yield from ((start, plan, without) for plan, without in _partial(start))


def _whole(config: Any) -> Iterator[Plan]:
    """Plans of which nothing is left out: pictures first grow, then widths."""
    plans = {side: plan(config, side) for side in SIDES}
    first = int(_needs_more(plans[SIDES[0]]))
    sides = [s for k, s in enumerate(SIDES) if k == first or (k > first and plans[s] != plans[SIDES[k - 1]])]
    yield from (plans[side] for side in sides)
    yield from (plan(config, side, least) for side, least in WIDER)
    yield from (
        plan(config, side, least, ratios=True) for side, least in [*((side, 1) for side in sides), (SIDES[1], 32)]
    )


def _needs_more(small: Plan) -> bool:
    """More than the least picture: it has a few windows, or stands for a few tokens of another part's text."""
    roles: dict[Any, set[str]] = {}
    for change in small.changes:
        roles.setdefault(change.path, set()).add(change.role)
    reads = any("vocabulary" in found and "image" not in found for found in roles.values())
    return any("window" in found for found in roles.values()) or (reads and any("image" in r for r in roles.values()))


def _partial(config: Any) -> Iterator[tuple[Plan, frozenset[str]]]:
    """Plans of which single roles are left out, and then all of them."""
    plans = {side: plan(config, side) for side in (SIDES[1], SIDES[-1])}
    for side in SIDES[1:2] if plans[SIDES[1]] == plans[SIDES[-1]] else plans:
        changes = plans[side].changes
        roles = [r for r in STAGES if any(c.role == r for c in changes)]
        others = sorted({c.role for c in changes} - set(roles) - {"layers"})
        for role in (*roles, *others):
            yield plans[side], frozenset({role})
        yield plans[side], frozenset(roles)
