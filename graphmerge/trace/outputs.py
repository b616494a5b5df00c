"""What counts as the function: which of the values that forward returns are its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from graphmerge.errors import TraceError

NOT_THE_FUNCTION = ("loss", "hidden_states", "attentions", "past_key_values", "cache", "mems", "router_logits")


def choose_outputs(returned: Any, names: tuple[str, ...] | None = None) -> dict[str, torch.Tensor]:
    """Output tensors by name.

    For a mapping with attributes (a Hugging Face output object) every floating field but losses, hidden states,
    attentions, caches and ``encoder_*``; for anything else every tensor. ``names`` picks others.

    Raises:
        TraceError: a name that is not there, or nothing to keep.
    """
    flat = dict(_tensors("", returned))
    if names is not None:
        if missing := [n for n in names if n not in flat]:
            raise TraceError(f"no output {missing[0]!r}; the model returns {', '.join(flat)}")
        return {n: flat[n] for n in names}
    if isinstance(returned, Mapping):
        flat = {n: t for n, t in flat.items() if _counts(n) and t.is_floating_point()}
    if not flat:
        raise TraceError("the model returns no tensor; name its outputs with outputs=(...)")
    return flat


def _counts(name: str) -> bool:
    field = name.split(".")[0]
    return not field.startswith("encoder_") and not any(
        field == word or field.endswith("_" + word) for word in NOT_THE_FUNCTION
    )


def _tensors(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name or "output", value
        return
    items: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        items = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, (list, tuple)):
        items = [(str(k), v) for k, v in enumerate(value)]
    for key, item in items:
        yield from _tensors(f"{name}.{key}" if name else key, item)
