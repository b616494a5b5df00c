"""The same architecture, tiny: few layers, few heads, small widths; what ties sizes to each other is kept.

Nothing here knows an architecture. Numbers are told apart by their names; equal widths stay equal, heads still divide
widths, grouped queries stay grouped, each kind of layer stays once, token ids stay inside the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from graphmerge.shrink.plan import Plan, plan

SIDES: Final = (16, 32, 64)  # pixels a side of a picture, tried in this order
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
    for attempt, without in _attempts(config):
        small = attempt.apply(config, without)
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


def _attempts(config: Any) -> Iterator[tuple[Plan, frozenset[str]]]:
    """Plans, and what to leave out of them."""
    plans = {side: plan(config, side) for side in SIDES}
    sides = [s for k, s in enumerate(SIDES) if k == 0 or plans[s] != plans[SIDES[k - 1]]]
    for side in sides:
        yield plans[side], frozenset()
    for side, least in WIDER:
        yield plan(config, side, least), frozenset()
    for side, least in [*((side, 1) for side in sides), (sides[0], 32)]:
        yield plan(config, side, least, ratios=True), frozenset()
    for side in {sides[0]: None, sides[-1]: None}:
        changes = plans[side].changes
        roles = [r for r in STAGES if any(c.role == r for c in changes)]
        others = sorted({c.role for c in changes} - set(roles) - {"layers"})
        for role in (*roles, *others):
            yield plans[side], frozenset({role})
        yield plans[side], frozenset(roles)
