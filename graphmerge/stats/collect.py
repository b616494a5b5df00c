"""Running two models in step over the same data, and summing what their taps read.

Nothing but sums outlives a batch. Left out are padded positions, where a mask of the batch is 0, and those whose label
is -100 where labels are the ids themselves (next tokens). In masked language modelling -100 only says that a position
is not to be guessed; it is read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from graphmerge.device import resolve_device
from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch, listed_once, run, to_device
from graphmerge.evaluate.evaluate import ready
from graphmerge.stats.moments import Moments
from graphmerge.stats.positions import Samples
from graphmerge.stats.taps import Tap, find_taps
from graphmerge.stats.watch import Reading, Site, watched
from graphmerge.symmetry import Symmetry

Choice = Callable[[list[Tap]], list[Tap]]


@dataclass(frozen=True, eq=False)
class TapStatistics:
    """What one tap read: the moments of its joint units."""

    tap: Tap
    moments: Moments


@dataclass(frozen=True, eq=False)
class Statistics:
    """The moments at all taps, and what could not be read (``notes``)."""

    taps: tuple[TapStatistics, ...]
    notes: tuple[str, ...] = ()


def collect(
    a: nn.Module,
    b: nn.Module,
    symmetry: Symmetry,
    data: Iterable[Batch],
    groups: Iterable[str] | None = None,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
    *,
    samples: Samples = Samples(),
    written: Iterable[str] = (),
    chosen: Choice = list,
) -> Statistics:
    """The moments of the units of ``groups`` (all by default) in both models over ``data``.

    A tap whose samples differ in number from model to model (tokens that a router sends elsewhere) is dropped.

    Args:
        samples: what counts, and as what.
        written: groups that are read where they are written too (`find_taps`).
        chosen: which of the taps, given in the order of the forward pass, are read.
        progress: called with (batches done, batches in all).

    Raises:
        InputError: no batches, or no position that counts.
    """
    batches = listed_once(data)
    place = resolve_device(device)
    wanted = list(symmetry.by_name) if groups is None else list(groups)
    with ready(a, place) as model_a, ready(b, place) as model_b:
        taps = chosen(find_taps(model_a, to_device(batches[0], place), symmetry, wanted, written))
        sums: dict[Tap, Moments] = {}
        uneven: set[Tap] = set()
        for done, batch in enumerate(batches, start=1):
            batch = to_device(batch, place)
            ours, theirs = (_features(model, batch, symmetry, taps, samples) for model in (model_a, model_b))
            for tap in taps:
                x, y = ours.pop(tap, None), theirs.pop(tap, None)
                if x is None or y is None or len(x) != len(y):
                    uneven.add(tap)
                elif len(x) and tap not in uneven:
                    moments = Moments.of(x, y)
                    sums[tap] = sums[tap] + moments if tap in sums else moments
            if progress:
                progress(done, len(batches))
    if not any(moments.count for moments in sums.values()) and taps and not uneven:
        special = " or ids special" if samples.excluded else ""
        raise InputError(f"no position of the data counts: masks are 0 or labels -100{special} everywhere")
    kept = tuple(TapStatistics(tap, m) for tap, m in sums.items() if tap not in uneven and _is_finite(m))
    return Statistics(kept, _notes(taps, kept, wanted))


def _features(
    model: nn.Module, batch: Batch, symmetry: Symmetry, taps: list[Tap], samples: Samples
) -> dict[Tap, torch.Tensor]:
    """What the taps read in one batch: (samples, joint units) each."""
    by_site: dict[Site, list[Tap]] = {}
    for tap in taps:
        by_site.setdefault(tap.site, []).append(tap)
    found: dict[Tap, torch.Tensor] = {}

    def read(reading: Reading) -> None:
        for tap in by_site.get(reading.site, ()):
            if all(dim in reading.dims for dim, _ in tap.dims):
                features = tap.features(reading.tensor, lambda x: samples.taken(x, reading.samples, batch))
                if features is not None:
                    found[tap] = features

    with watched(model, symmetry.layout, read):
        run(model, batch)
    return found


def _is_finite(moments: Moments) -> bool:
    return all(bool(torch.isfinite(t).all()) for t in (moments.square_a, moments.square_b))


def _notes(taps: list[Tap], kept: tuple[TapStatistics, ...], groups: list[str]) -> tuple[str, ...]:
    remaining = {k.tap for k in kept}
    notes = [f"tap dropped, its samples do not belong together: {t.site}" for t in taps if t not in remaining]
    read = {group for k in kept for group in k.tap.groups}
    if missing := [g for g in groups if g not in read]:
        notes.append(f"no tap reads {', '.join(missing)}")
    return tuple(notes)
