"""A pyramid of stages cut to two: the step from one to the next is there, and later ones only repeat it, wider."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from graphmerge.shrink.layers import LAYERS, counts_through, is_stages
from graphmerge.shrink.plan import parts
from graphmerge.shrink.roles import role_of

_COUNTS: Final = re.compile(r"^num_(stages|encoder_blocks|encoder_stages|levels)$")
# In lists of these, later stages are multiples of the first: two neighbours stay. Of others, the first and the last.
_GROWING: Final = ("width", "inner width", "channels", "heads", "head size", "half width")


def two_stages(config: Any) -> Any | None:
    """A copy in which every config inside that lists its stages has two of them; None if none lists more."""
    small, found = copy.deepcopy(config), False
    for _, part in parts(small):
        held = dict(vars(part))
        depths = [v for n, v in held.items() if is_stages(n, v) and len(v) > LAYERS]
        if depths and not counts_through(depths[0], held):
            _cut(part, len(depths[0]))
            found = True
    return small if found else None


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _cut(config: Any, count: int) -> None:
    """Lists with an entry a stage, numbers of stages, and the names and places of those that are put out."""
    outputs = [k for k in vars(config).get("_out_indices") or [] if k >= 0]
    for name, value in list(vars(config).items()):
        if _is_list(value) and len(value) == count and not name.startswith(("_", "stage_names")):
            kept = value[:LAYERS] if role_of(name) in _GROWING else [value[0], value[-1]]
            setattr(config, name, type(value)(kept))
        elif type(value) is int and value == count and (role_of(name) == "layers" or _COUNTS.search(name)):
            setattr(config, name, LAYERS)
    names = vars(config).get("stage_names") or []
    if len(names) in (count, count + 1):
        config.stage_names = names[: LAYERS + len(names) - count]
        left = sorted({min(k, len(config.stage_names) - 1) for k in outputs})
        config._out_indices, config._out_features = left, [config.stage_names[k] for k in left]
