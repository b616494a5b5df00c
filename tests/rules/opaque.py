"""Ops of a library of our own, of which nothing is known but that they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

LIBRARY = torch.library.Library("graphmerge_opaque", "DEF")
_DEFINED: set[str] = set()


def opaque(name: str, schema: str, function: Callable[..., Any]) -> str:
    """Define an op once; its full name."""
    if name not in _DEFINED:
        LIBRARY.define(f"{name}{schema}")
        LIBRARY.impl(name, function, "CompositeExplicitAutograd")
        _DEFINED.add(name)
    return f"graphmerge_opaque.{name}.default"
