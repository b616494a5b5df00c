"""All pairs of several models, by several ways of matching: the public entry."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from graphmerge.checkpoint import Loaded
from graphmerge.device import resolve_device
from graphmerge.errors import InputError
from graphmerge.evaluate import barrier, named_metrics
from graphmerge.evaluate.batches import Batch, listed_once
from graphmerge.evaluate.loss import Loss
from graphmerge.graph import trace
from graphmerge.match import Match, match
from graphmerge.sweep.curves import VANILLA, Sweep
from graphmerge.sweep.digests import batches_digest, described, function_digest, symmetry_digest
from graphmerge.sweep.forecast import Forecast, Pair, Step
from graphmerge.sweep.journal import Journal, open_journal
from graphmerge.sweep.models import Models, Sources
from graphmerge.symmetry import Permutations, Symmetry

Matching = Mapping[str, Any] | Callable[[Loaded, Loaded], Permutations | Match]
OURS = ("a", "b", "symmetry", "device", "progress")  # of `match`: what the sweep itself gives
OPTIONS = tuple(name for name in inspect.signature(match).parameters if name not in OURS)


def sweep(
    models: Sources,
    data: Iterable[Batch],
    matchings: Mapping[str, Matching] | None = None,
    *,
    out: str | Path | None = None,
    calibration: Iterable[Batch] | None = None,
    symmetry: Symmetry | None = None,
    pairs: Iterable[Pair] | None = None,
    loss: Loss | None = None,
    metrics: str | Sequence[str] = (),
    points: int = 21,
    device: str | torch.device = "auto",
    seed: int = 0,
    progress: Callable[[Step], None] | None = None,
    trust_remote_code: bool = False,
    allow_different_tokenizers: bool = False,
) -> Sweep:
    """The curves of all pairs of models by every matching, the vanilla curve always beside.

    Every curve is measured on the same batches, drawn from ``data`` once. With ``out`` each curve is a line of that
    file as soon as it is finished; a sweep that was interrupted, however it was, continues there.

    Args:
        models: modules, directories or factories, in a list or by name.
        matchings: by name: options of `match` (``{"method": "activations", "groups": "ffn,heads"}``), or a function of
            two models (`Loaded`: ``.model`` is the module) that returns `Permutations` or a `Match`. ``data``, ``loss``
            and ``seed`` are ``calibration``, ``loss`` and ``seed`` from here if the options do not say otherwise.
            None: nothing but the vanilla curves.
        out: the results file (JSON lines), begun or continued.
        symmetry: derived from the first model if it is not given.
        pairs: names of the models of each pair; all pairs, each once, if not given.
        loss, metrics, points, device: as for `barrier`.
        progress: called with a `Step`: curves done, and an estimate of the time left.

    Raises:
        InputError: fewer than two models, unknown options or names; ``out`` belongs to other models, data or options.
        Whatever `match` and `barrier` raise.
    """
    found = Models(models, trust_remote_code=trust_remote_code, allow_different_tokenizers=allow_different_tokenizers)
    run = _Run(
        found,
        listed_once(data),
        _checked(matchings or {}),
        None if calibration is None else listed_once(calibration),
        symmetry,
        loss,
        named_metrics(metrics),
        points,
        device,
        seed,
        progress or _quiet,
    )
    chosen = _pairs(list(found.sources), pairs)
    if out is None:
        return run.measure(chosen, None)
    with open_journal(Path(out), run.header(chosen)) as journal:
        return run.measure(chosen, journal)


@dataclass
class _Run:
    models: Models
    data: list[Batch]
    matchings: dict[str, Matching]
    calibration: list[Batch] | None
    symmetry: Symmetry | None
    loss: Loss | None
    metrics: tuple[str, ...]
    points: int
    device: str | torch.device
    seed: int
    progress: Callable[[Step], None]

    def header(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """What the results belong to."""
        return {
            "models": self.models.digests(),
            "pairs": [list(pair) for pair in pairs],
            "data": batches_digest(self.data),
            "calibration": None if self.calibration is None else batches_digest(self.calibration),
            "matchings": {name: described(options, name) for name, options in self.matchings.items()},
            "symmetry": None if self.symmetry is None else symmetry_digest(self.symmetry),
            "loss": None if self.loss is None else function_digest(self.loss),
            "metrics": list(self.metrics),
            "points": self.points,
            "seed": self.seed,
        }

    def measure(self, pairs: Sequence[Pair], journal: Journal | None) -> Sweep:
        """Every curve that is not in the journal yet, then all of them."""
        lines = [] if journal is None else list(journal.lines)
        finished = {((line["pair"][0], line["pair"][1]), line["matching"]) for line in lines}
        works = [(pair, name) for pair in pairs for name in (VANILLA, *self.matchings)]
        todo = [work for work in works if work not in finished]
        forecast = Forecast(todo, [(line["matching"], line["seconds"]) for line in lines])
        for pair, name in todo:
            forecast.begin()
            self.progress(forecast.step(0.0))
            start = time.perf_counter()
            line = self._curve(pair, name, lambda part: self.progress(forecast.step(part)))
            line["seconds"] = time.perf_counter() - start
            lines.append(line)
            if journal is not None:
                journal.add(line)
            forecast.finish(line["seconds"])
        return Sweep.of_lines(lines, self.matchings)

    def _curve(self, pair: Pair, name: str, tick: Callable[[float], None]) -> dict[str, Any]:
        """One line: the curve of a pair by one matching."""
        a, b = self.models.pair(pair)
        line: dict[str, Any] = {"pair": list(pair), "matching": name, "device": str(resolve_device(self.device))}
        permutations = None
        if name != VANILLA:
            found = self._match(a, b, self.matchings[name])
            permutations = found.permutations if isinstance(found, Match) else found
            if isinstance(found, Match):
                line["match"] = {
                    "groups": list(found.groups),
                    "notes": list(found.notes),
                    "objective": list(found.history),
                    "seconds": found.seconds,
                }
        curve = barrier(
            a.model,
            b.model,
            self.data,
            permutations,
            self.loss,
            self.points,
            self.device,
            lambda done, total: tick(done / total),
            vanilla=False,
            metrics=self.metrics,
        )
        # without another curve beside: that has a line of its own
        line["curve"] = json.loads(dataclasses.replace(curve, vanilla=None, vanilla_metrics={}).to_json())
        return line

    def _match(self, a: Loaded, b: Loaded, matching: Matching) -> Match | Permutations:
        if not isinstance(matching, Mapping):
            found = matching(a, b)
            if not isinstance(found, Match | Permutations):
                raise InputError(f"a matching returned a {type(found).__name__}; expected Permutations or a Match")
            return found
        if self.symmetry is None:
            self.symmetry = trace(a.model, a.example_inputs).symmetry()
        given = {"data": self.calibration, "loss": self.loss, "seed": self.seed} | dict(matching)
        return match(a.model, b.model, self.symmetry, device=self.device, **given)


def _checked(matchings: Mapping[str, Matching]) -> dict[str, Matching]:
    """The matchings, if `match` knows their options.

    Raises:
        InputError: a name or an option that cannot be.
    """
    for name, matching in matchings.items():
        if name == VANILLA:
            raise InputError(f"the name {VANILLA!r} is that of the models as they are; give this matching another one")
        if callable(matching):
            continue
        if not isinstance(matching, Mapping):
            raise InputError(
                f"matching {name!r} is a {type(matching).__name__}; expected options of match, or a function"
            )
        if unknown := [str(option) for option in matching if option not in OPTIONS]:
            raise InputError(
                f"matching {name!r} has unknown options {', '.join(unknown)}; there are {', '.join(OPTIONS)}"
            )
    return dict(matchings)


def _pairs(names: Sequence[str], given: Iterable[Pair] | None) -> list[Pair]:
    """The pairs that were asked for, else all."""
    if given is None:
        return list(itertools.combinations(names, 2))
    pairs = [(str(a), str(b)) for a, b in given]
    for a, b in pairs:
        if a == b or a not in names or b not in names:
            raise InputError(f"there is no pair of {a!r} and {b!r}; the models are {', '.join(names)}")
    if not pairs or len(set(pairs)) != len(pairs):
        raise InputError("pairs must be given once each, and at least one")
    return pairs


def _quiet(step: Step) -> None:
    """Progress that nobody asked for."""
