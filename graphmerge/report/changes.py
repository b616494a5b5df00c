"""What was made small in the config of a copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LONGEST: Final = 30  # letters of a value


def changes_text(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Settings, each with what it was and is.

    >>> changes_text({"hidden_size": (8192, 16), "num_attention_heads": (64, 4)})
    'hidden_size 8192 → 16, num_attention_heads 64 → 4'
    """
    return ", ".join(f"{name} {_short(was)} → {_short(now)}" for name, (was, now) in changes.items())


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
