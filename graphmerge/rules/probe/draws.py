"""Numbers to run an op on: of both signs and of one, small, large and of all sizes at once, with ties and zeros.

An op may be constant or the identity in one region and something else in another. No region is asked alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from graphmerge.rules.probe.subject import Slot

Regime = Callable[[tuple[int, ...], torch.Generator], torch.Tensor]


def _normal(shape: tuple[int, ...], g: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=g)


def _uniform(shape: tuple[int, ...], g: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=g)


def _scaled(scale: float) -> Regime:
    return lambda shape, g: scale * _normal(shape, g)


def _wild(shape: tuple[int, ...], g: torch.Generator) -> torch.Tensor:
    """Twenty-four orders of magnitude."""
    return _normal(shape, g).sign() * 10 ** (24 * _uniform(shape, g) - 12)


def _whole(shape: tuple[int, ...], g: torch.Generator) -> torch.Tensor:
    return torch.randint(-2, 3, shape, generator=g).to(torch.float64)


REGIMES: tuple[Regime, ...] = (
    _normal,
    _whole,  # many entries are equal
    _scaled(1e3),
    lambda shape, g: 0.1 + _normal(shape, g).abs(),
    _wild,
    _uniform,
    lambda shape, g: -0.1 - _normal(shape, g).abs(),
    _scaled(1e-6),
    lambda shape, g: _normal(shape, g) * (_uniform(shape, g) < 0.5),
    _scaled(30.0),
)
WIDE = (1, 9)  # regimes


def draw(
    slot: Slot, shape: tuple[int, ...], regime: int, bound: int, g: torch.Generator, wide: Sequence[int]
) -> torch.Tensor:
    """Values for one slot.

    Args:
        slot: says the dtype.
        shape: may be another than the traced one.
        regime: which of `REGIMES`, cyclically.
        bound: integers below it are valid as indices.
        g: source of randomness.
        wide: regimes that draw integers far beyond ``bound``.
    """
    if slot.dtype == torch.bool:
        return torch.rand(shape, generator=g) < (0.5, 0.8, 0.2)[regime % 3]
    if not slot.dtype.is_floating_point and not slot.dtype.is_complex:
        low, high = (-100, 1000) if regime % len(REGIMES) in wide else (0, max(bound, 1))
        if slot.dtype == torch.uint8:
            low, high = 0, min(high, 256)
        high = min(high, 127) if slot.dtype == torch.int8 else high
        return torch.randint(low, high, shape, generator=g).to(slot.dtype)
    make = REGIMES[regime % len(REGIMES)]
    return torch.complex(make(shape, g), make(shape, g)) if slot.dtype.is_complex else make(shape, g)


def draw_all(
    slots: Sequence[Slot], shapes: Sequence[tuple[int, ...]], regimes: Sequence[int], seed: int, careful: bool = False
) -> list[torch.Tensor]:
    """Values for all slots: each in a regime of its own. What is fixed keeps its value.

    With ``careful``, integers are valid indices in every regime.
    """
    g = torch.Generator().manual_seed(seed)
    wide = [n for slot, shape in zip(slots, shapes) if slot.dtype.is_floating_point for n in shape if n > 1]
    bound = min(wide, default=4)
    wild = () if careful else WIDE
    return [
        slot.held if slot.fixed and slot.held is not None else draw(slot, shape, regime, bound, g, wild)
        for slot, shape, regime in zip(slots, shapes, regimes)
    ]
