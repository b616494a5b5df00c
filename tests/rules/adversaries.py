"""Ops made to fool whoever infers an equation from running them, with the most that may be found: as text, or nothing.

Each would pass at one point, at one size, in one region or with uniform permutations only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.rules.examples import Example, f, index
from tests.rules.opaque import opaque

Tensor = torch.Tensor
UNARY = "(Tensor x) -> Tensor"
BINARY = "(Tensor x, Tensor y) -> Tensor"
ROWS = "x0 q0! -> x0 q1!"  # nothing is known about the columns
SHARED = "x0 p0! -> x0 p0!"  # the columns stay, and rows may be permuted differently for each of them
WHOLE = "x0 x1 -> x0 x1"


def ramp(x: Tensor, scale: float = 1.0) -> Tensor:
    return 1 + scale * torch.arange(x.shape[-1], dtype=x.dtype)


def last_unit(x: Tensor) -> Tensor:
    x = x.clone()
    x[..., -1] *= 2
    return x


def first_row(x: Tensor) -> Tensor:
    """Mixes the columns of the first row only."""
    return torch.cat([x[:1].softmax(-1), x[1:]])


def when(condition: Callable[[Tensor], Tensor | bool]) -> Callable[[Tensor], Tensor]:
    """The identity, but for some entries or shapes the mirror image."""
    return lambda x: torch.where(torch.as_tensor(condition(x)), x.flip(-1), x)


def counting() -> Callable[[Tensor], Tensor]:
    calls = iter(range(10**6))
    return lambda x: x + 1e-3 * next(calls)


def tiring() -> Callable[[Tensor], Tensor]:
    calls = iter(range(10**6))
    return lambda x: x + float(next(calls) > 60)


def remembering() -> Callable[[Tensor], Tensor]:
    """The first result for each shape, for ever."""
    known: dict[Any, Tensor] = {}
    return lambda x: known.setdefault(x.shape, x.relu()).clone()


def writing(x: Tensor) -> Tensor:
    x.mul_(2)
    return x.clone()


def rarely_random(x: Tensor) -> Tensor:
    return x + (torch.rand(()) < 0.2).to(x.dtype)


def parity(x: Tensor) -> Tensor:
    """The sign of the permutation that sorts x."""
    gaps = x[:, None] - x[None, :]
    return torch.tril(gaps.sign(), -1).add(torch.triu(torch.ones_like(gaps))).prod().reshape(1) * x.sum()


def swaps(x: Tensor) -> Tensor:
    """The sign of all swaps of the pairs x[0, t, u], x[1, t, u]: there must be an even number of t, and of u."""
    assert x.shape[0] == 2
    assert x.shape[1] % 2 == x.shape[2] % 2 == 0
    return (x[0] - x[1]).sign().prod().reshape(1) * x.abs().sum()


def one_hot_of_largest(x: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(x.argmax(-1), x.shape[-1]).to(x.dtype)


def single_precision(x: Tensor) -> Tensor:
    return x.float().softmax(-1).to(x.dtype)


def dead(x: Tensor) -> Tensor:
    return torch.where(x > 1e20, x.flip(-1), torch.zeros_like(x))


def half_dead(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.relu(), dead(x)


# name: function, the equation that must come out (None: everything is pinned)
ONE_INPUT: dict[str, tuple[Callable[..., Any], str | None]] = {
    "order_beyond_4": (when(lambda x: x.shape[-1] > 4), ROWS),
    "order_beyond_50": (when(lambda x: x.shape[-1] > 50), ROWS),
    "order_at_60": (when(lambda x: x.shape[-1] == 60), ROWS),
    "last_unit": (last_unit, SHARED),
    "tiny_weights": (lambda x: x * ramp(x, 1e-6), SHARED),
    "tiny_added": (lambda x: x + 1e-7 * ramp(x), SHARED),
    "tiny_mixing": (lambda x: x + 1e-6 * x.mean(0, keepdim=True), "x0 x1 -> x0 x1 | x1"),
    "dead_but_for_one": (lambda x: (x - 2 * ramp(x)).relu(), SHARED),
    "large": (when(lambda x: x.abs() > 1e4), ROWS),
    "huge": (when(lambda x: x.abs() > 1e9), ROWS),
    "small": (when(lambda x: x.abs() < 1e-4), ROWS),
    "negative": (when(lambda x: x < -3), ROWS),
    "all_positive": (when(lambda x: (x > 0).all()), ROWS),
    "rounded": (lambda x: (x * ramp(x, 0.1) / 1e3).round(), SHARED),
    "rounded_alike": (lambda x: (x / 100).round(), WHOLE),
    "rounded_scan": (lambda x: (x.cumsum(-1) / 30).floor(), ROWS),
    "first_row": (first_row, "p0! x0 -> p0! x0"),
    "mirror_of_half": (lambda x: torch.cat([x[..., :2].flip(-1), x[..., 2:]], -1), ROWS),
    "sort": (lambda x: x.sort(-1).values, "x0 x1 -> x0 q0!"),  # the order of what it sorts is free
    "rank": (lambda x: x.argsort(-1).to(x.dtype), ROWS),
    "one_hot_of_largest": (one_hot_of_largest, ROWS),
    "scan": (lambda x: x.cummax(-1).values, ROWS),
    "spectrum": (lambda x: torch.fft.fft(x).real, ROWS),
    "neighbours": (lambda x: torch.nn.functional.avg_pool1d(x, 3, 1, 1), ROWS),
    "zero_mean": (lambda x: x - x.mean(-1, keepdim=True), "x0 x1 -> x0 x1 | x0"),
    "counting": (counting(), None),
    "tiring": (tiring(), None),
    "remembering": (remembering(), None),
    "writing": (writing, None),
    "random": (lambda x: x + 1e-4 * torch.rand_like(x), None),
    "rarely_random": (rarely_random, None),
    "dead": (dead, None),
    "half_dead": (half_dead, None),
    "shape_only": (lambda x: torch.ones_like(x), None),
    "changes_shape": (lambda x: x[x[:, 0] > 0], None),
    "single_precision": (single_precision, "x0 q0! -> x0 q1!"),
}

OTHERS: dict[str, tuple[str, str | None, tuple[Any, ...], Callable[..., Any]]] = {
    "parity": (UNARY, None, (f(5),), parity),
    "swaps": (UNARY, "x0 x1 x2 -> 1 | x0, x1, x2", (f(2, 4, 6),), swaps),
    "determinant": (UNARY, "x0 x0 -> 1 | x0", (f(4, 4),), lambda x: torch.linalg.det(x).reshape(1)),
    "inverse": (UNARY, "x0 x1 -> x1 x0 | x0, x1", (f(4, 4),), lambda x: torch.linalg.inv(x)),
    "matrix_power": (UNARY, "x0 x0 -> x0 x0 | x0", (f(4, 4),), lambda x: x @ x @ x),
    "gram": (UNARY, "x0 x1 -> x0 x0 | x0, x1", (f(4, 3),), lambda x: x @ x.T),
    "same_shape_only": (
        BINARY, None, (f(4, 4), f(4, 4)), lambda x, y: x + y if x.shape == y.shape else x + y.mean()
    ),
    "dead_second": (BINARY, "x0 x1, q0! q1! -> x0 x1", (f(4, 3), f(4, 3)), lambda x, y: x + 0 * y.clamp(-1, 1)),
    "shares": (
        BINARY, "x0 x1, x0 x2 -> x1 x2", (f(4, 3), f(4, 5)), lambda x, y: x.softmax(0).T @ y
    ),
    "looked_up": (
        BINARY, "q0! x0, x1 -> x1 x0", (f(5, 3), index(3, 4)), lambda x, i: torch.nn.functional.embedding(i, x)
    ),
    "list": (
        "(Tensor[] x) -> Tensor[]", "x0 x1, x0 x2, x0 x1 -> x0 x2", ([f(4, 3), f(4, 5)],),
        lambda x: [x[0] * x[1].sum(-1, keepdim=True), x[1]],
    ),
}  # fmt: skip


def adversaries() -> dict[str, tuple[Example, str | None]]:
    """Calls with the equation that must come out; all of one argument are called on 7 rows and 60 columns."""
    found = {}
    for name, (function, expected) in ONE_INPUT.items():
        schema = "(Tensor x) -> (Tensor, Tensor)" if name == "half_dead" else UNARY
        found[name] = Example(opaque(name, schema, function), (f(7, 60),)), expected
    for name, (schema, expected, arguments, function) in OTHERS.items():
        found[name] = Example(opaque(name, schema, function), arguments), expected
    return found
