"""How numbers are written, in every table and sentence."""

from __future__ import annotations

import math

MISSING = "–"


def loss(value: float | None) -> str:
    """A loss or barrier.

    >>> loss(1.41522), loss(None)
    ('1.415', '–')
    """
    return MISSING if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    """A share of 1, in percent.

    >>> share(0.3768), share(-0.02), share(None)
    ('37.7 %', '-2.0 %', '–')
    """
    return MISSING if value is None else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """A time.

    >>> seconds(0.0421), seconds(8.25), seconds(125)
    ('42 ms', '8.2 s', '2 min 5 s')
    """
    if value is None:
        return MISSING
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def count(value: int) -> str:
    """
    >>> count(13863)
    '13,863'
    """
    return f"{value:,}"


def error(value: float | None) -> str:
    """A relative error.

    >>> error(3.21e-12), error(0.0)
    ('3.2e-12', '0')
    """
    if value is None:
        return MISSING
    return "0" if value == 0 else f"{value:.1e}"


def order(log_order: float) -> str:
    """The number of elements of a symmetry, from its natural logarithm, as a power of ten.

    >>> order(13863.214), order(math.log(24))
    ('10^6,020.7', '24')
    """
    if log_order < math.log(1e6):
        return f"{round(math.exp(log_order)):,}"
    return f"10^{log_order / math.log(10):,.1f}"


def size(value: float) -> str:
    """A number of bytes.

    >>> size(312), size(2_150_000), size(6_290_000_000)
    ('312 B', '2.15 MB', '6.29 GB')
    """
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:.0f} B"
