"""The model that a spec is read for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a spec may ask of its model; all of it may be missing.

    Attributes:
        config: the settings that sizes refer to: an object with attributes, or a mapping.
        shapes: of every tensor by state-dict key: optional tensors that are not there are left out.
        model: the name of its class.
    """

    config: Any = None
    shapes: Mapping[str, tuple[int, ...]] | None = None
    model: str = ""
