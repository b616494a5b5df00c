"""Sizes as a spec writes them: numbers, or what the config of the model says.

``hidden_size / num_attention_heads`` is a quotient of two settings, ``head_dim or 64`` the first of the two that is
set, ``vision_config.hidden_size`` a setting of a config inside the config, ``depths.0`` the first of a list. Names from
the section ``sizes`` stand for what is written there.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*(?:\.\w+)*)|([-+*/()]))")
_RANGE = re.compile(r"(.*?)\.\.(.*)", re.DOTALL)
LONGEST: Final = 200  # characters
DEEPEST: Final = 20  # parentheses and signs
LARGEST: Final = 2**31  # units of an axis, and so of anything
MISSING: Final = object()


class QuantityError(Exception):
    """Text that is no size, or no whole one; ``column`` counts from 0 in the text."""

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(message)
        self.column = column


@dataclass
class Quantities:
    """What names stand for: ``config`` is an object with attributes, or a mapping; None where there is none."""

    config: Any = None
    known: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int | None:
        """The whole number that a text means; None if it is nothing like one.

        Raises:
            QuantityError: an unknown setting, or a quotient that is no whole number.
        """
        if re.fullmatch(r"\d{1,10}", text) and int(text) <= LARGEST:
            return int(text)
        if len(text) > LONGEST or not re.search(r"[A-Za-z_]|\d\s*[-+*/(]", text):
            return None
        found = _Reader(text, self).whole()
        if abs(found) > LARGEST:
            raise QuantityError(f"{text} is {found}; a size is at most {LARGEST}")
        return found

    def range(self, text: str) -> range | None:
        """``0..11``, both ends included and each of them a quantity; None if the text is nothing like it."""
        found = _RANGE.fullmatch(text)
        if not found or len(text) > LONGEST:
            return None
        ends = []
        for number in (1, 2):
            part = found[number]
            if not part.strip():
                return None
            try:
                ends.append(_Reader(part, self).whole())
            except QuantityError as error:
                raise QuantityError(str(error), found.start(number) + error.column) from None
        first, last = ends
        plain = re.fullmatch(r"\s*\d+\s*\.\.\s*\d+\s*", text)
        if first < 0 or last > LARGEST or (plain and last < first):
            return None
        return range(first, max(first, last + 1))

    def setting(self, name: str) -> Any:
        """The value of a name; `MISSING` if there is none."""
        if name in self.known:
            return self.known[name]
        value = self.config
        if value is None:
            raise QuantityError(
                f"{name!r} is no number, and there is no config to look it up in; write the number, or give the model "
                "too: gm.load_spec(path, model)"
            )
        for part in name.split("."):
            value = _part(value, part)
            if value is MISSING:
                return MISSING
        return value

    def nearest(self, name: str) -> str:
        """A setting that is spelled nearly like this one, as the end of a sentence."""
        *path, last = name.split(".")
        holder = self.config
        for part in path:
            holder = _part(holder, part)
        found = difflib.get_close_matches(last, [*_names(holder), *self.known], n=1)
        return f"did you mean {'.'.join((*path, found[0]))!r}?" if found else "write the number"


def _part(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, MISSING)
    if isinstance(value, list | tuple):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else MISSING
    return getattr(value, name, MISSING)


def _names(holder: Any) -> list[str]:
    found = holder if isinstance(holder, Mapping) else getattr(holder, "__dict__", {})
    return [str(name) for name in found if not str(name).startswith("_")]


class _Reader:
    """Recursive descent: ``or`` of sums of products. What the config leaves out is None as far as an ``or``."""

    def __init__(self, text: str, quantities: Quantities) -> None:
        self.text, self.quantities = text, quantities
        self.end, self.depth = 0, 0
        self._advance()

    def whole(self) -> int:
        """The whole number that the text means."""
        found = self._choice()
        if self.token is not None:
            raise QuantityError(f"cannot read {self.text[self.column :]!r} here", self.column)
        if found is None:
            raise QuantityError(f"the config leaves {self.text.strip()} open; write the number")
        if found.denominator != 1:
            raise QuantityError(f"{self.text.strip()} is {float(found):g}, which is no whole number")
        return int(found)

    def _advance(self) -> None:
        found = _TOKEN.match(self.text, self.end)
        if found is None and self.text[self.end :].strip():
            raise QuantityError(f"cannot read {self.text[self.end :].strip()!r} as a size", self.end)
        self.token = found[found.lastindex or 0] if found else None
        self.column = found.start(found.lastindex or 0) if found else len(self.text)
        self.end = found.end() if found else len(self.text)

    def _choice(self) -> Fraction | None:
        found = self._sum()
        while self.token == "or":
            self._advance()
            other = self._sum()
            found = other if found is None else found
        return found

    def _sum(self) -> Fraction | None:
        found = self._product()
        while self.token in ("+", "-"):
            sign = 1 if self.token == "+" else -1
            self._advance()
            other = self._product()
            found = None if found is None or other is None else found + sign * other
        return found

    def _product(self) -> Fraction | None:
        found = self._atom()
        while self.token in ("*", "/"):
            divide, column = self.token == "/", self.column
            self._advance()
            other = self._atom()
            if divide and other == 0:
                raise QuantityError("this divides by zero", column)
            found = None if found is None or other is None else found / other if divide else found * other
        return found

    def _atom(self) -> Fraction | None:
        token, column = self.token, self.column
        if token is None or token in (")", "*", "/", "+", "or"):
            raise QuantityError("expected a number or a setting of the config here", column)
        self._advance()
        if token not in ("-", "("):
            return Fraction(int(token)) if token.isdecimal() else self._named(token, column)
        self.depth += 1
        if self.depth > DEEPEST:
            raise QuantityError("too many parentheses and signs; write it shorter", column)
        if token == "-":
            found = self._atom()
            return None if found is None else -found
        found = self._choice()
        if self.token != ")":
            raise QuantityError("this '(' is never closed", column)
        self._advance()
        return found

    def _named(self, name: str, column: int) -> Fraction | None:
        try:
            value = self.quantities.setting(name)
        except QuantityError as error:
            raise QuantityError(str(error), column) from None
        if value is None or (value is MISSING and self.token == "or"):
            return None
        if value is MISSING:
            raise QuantityError(f"the config has no {name!r}; {self.quantities.nearest(name)}", column)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise QuantityError(f"{name!r} is {str(value)[:40]!r} in the config, which is no number", column)
        return Fraction(str(value))
