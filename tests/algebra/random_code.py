"""A random program being written: lines of source, the shapes of their values, and the parameters they read."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

SIZES = (1, 2, 2, 3, 3, 4, 6)
MAX_ENTRIES = 1500
MAX_RANK = 6
INPUT_SHAPE = (2, 3)

Shape = tuple[int, ...]


class TooLarge(Exception):  # noqa: N818  (that line is not written)
    """A value of more entries or axes than a quick test needs."""


@dataclass
class Code:
    """Lines so far, the shapes of the values ``v`` (v[0] is the input) and of the parameters ``p``."""

    rng: random.Random
    lines: list[str] = field(default_factory=list)
    values: list[Shape] = field(default_factory=lambda: [INPUT_SHAPE])
    parameters: list[Shape] = field(default_factory=list)
    unread: set[int] = field(default_factory=set)
    wanted: int = 0  # parameters that lines so far read

    def line(self, text: str, shape: Shape, reads: tuple[int, ...] = ()) -> None:
        if math.prod(shape) > MAX_ENTRIES or len(shape) > MAX_RANK:
            raise TooLarge
        self.lines.append(text)
        self.unread -= set(reads)
        self.unread.add(len(self.values))
        self.wanted = len(self.parameters)
        self.values.append(shape)

    def parameter(self, shape: Shape) -> str:
        """A parameter of that shape; now and then one that is in use already."""
        alike = [k for k, s in enumerate(self.parameters) if s == shape]
        if alike and self.rng.random() < 0.15:
            return f"p[{self.rng.choice(alike)}]"
        self.parameters.append(shape)
        return f"p[{len(self.parameters) - 1}]"

    def constant(self, shape: Shape) -> str:
        """Entries that vary along some axes only, and there often with repeats."""
        number = "0."
        for axis, size in enumerate(shape):
            if size > 1 and self.rng.random() < 0.5:
                entries = [float(self.rng.randint(1, 2)) for _ in range(size)]
                trailing = ", 1" * (len(shape) - axis - 1)
                number += f" + torch.tensor({entries}, dtype=torch.float64).view(-1{trailing})"
        return f"({number})"

    def pick(self, at_least: int = 1) -> int:
        """A value of at least that rank, late ones and unread ones more often."""
        fitting = [k for k, s in enumerate(self.values) if len(s) >= at_least]
        fresh = [k for k in fitting if k in self.unread]
        if not fitting or (not fresh and self.rng.random() < 0.5):
            return self.source(tuple(self.rng.choice(SIZES) for _ in range(max(at_least, self.rng.randint(1, 3)))))
        return self.rng.choice(fresh) if fresh and self.rng.random() < 0.8 else self.rng.choice(fitting)

    def source(self, shape: Shape) -> int:
        """A parameter as a value."""
        self.line(f"{self.parameter(shape)} * 1", shape)
        return len(self.values) - 1

    def axis(self, k: int) -> int:
        return self.rng.randrange(len(self.values[k]))
