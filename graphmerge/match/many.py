"""Bringing several models into one order: the public entry."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch

from graphmerge.device import resolve_device
from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch, listed_once
from graphmerge.evaluate.loss import Loss
from graphmerge.files import write_json
from graphmerge.match.ascent import Progress
from graphmerge.match.freedom import freedom
from graphmerge.match.halfway import Middle
from graphmerge.match.match import Match, Method, match
from graphmerge.match.options import MatchOptions
from graphmerge.match.pairs import ActivationPairs, Pairs, WeightPairs
from graphmerge.match.reading import Reader
from graphmerge.match.selection import choose_groups, named_groups
from graphmerge.match.universe import Universe
from graphmerge.merge.inputs import Input, Model, read_inputs
from graphmerge.stats.share import drawn_share
from graphmerge.symmetry import Permutations, Symmetry

FORMAT: Final = "graphmerge.matches.1"
To = Literal["first", "universe"]
REFINED: Final = "refine goes by the loss halfway between two models, and to: universe has more to go between"


@dataclass(frozen=True, eq=False)
class Matches:
    """Permutations that move every model after the first into the order of the first, and how they were found.

    ``permutations`` has one entry for each of these models, as `merge` takes them. ``groups`` took part, for any of
    them. ``history`` is the objective: of ``to="universe"`` the sum over all pairs of models, with all matched to the
    first and after every round; else the sum over the matches, at the start and after every sweep. ``notes`` say what
    was chosen or left out, ``options`` how they were asked for.
    """

    permutations: tuple[Permutations, ...]
    method: Method
    to: To | int
    groups: tuple[str, ...]
    history: tuple[float, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    options: MatchOptions = MatchOptions()

    @property
    def preserving(self) -> bool:
        """Do all models keep their function when they are moved? Not with options that were allowed to be unsound."""
        return all(p.symmetry.preserving for p in self.permutations)

    def between(self, i: int, j: int) -> Permutations:
        """What moves model i (counted from 0) into the order of model j; around any cycle it is the identity.

        Raises:
            InputError: there is no such model.
        """
        placed = (self.permutations[0].symmetry.identity(), *self.permutations)
        for n in (i, j):
            if not 0 <= n < len(placed):
                raise InputError(f"there is no model {n}; they are counted from 0 to {len(placed) - 1}")
        return placed[j].inverse() @ placed[i]

    def to_json(self, path: str | Path | None = None) -> str:
        """All but the permutations (each has a `save` of its own) as JSON text, written to ``path`` if given."""
        data = {
            "format": FORMAT,
            "models": len(self.permutations) + 1,
            "method": self.method,
            "to": self.to,
            "groups": list(self.groups),
            "history": list(self.history),
            "seconds": self.seconds,
            "notes": list(self.notes),
            "options": dataclasses.asdict(self.options),
            "unsound": list(self.permutations[0].symmetry.unsound),
        }
        return write_json(data, path)


def match_many(
    models: Sequence[Model],
    symmetry: Symmetry,
    method: Method = "weights",
    data: Iterable[Batch] | None = None,
    *,
    to: To | int = "first",
    groups: str | Sequence[str] | None = None,
    similarity: str = "correlation",
    device: str | torch.device = "auto",
    seed: int = 0,
    sweeps: int = 30,
    loss: Loss | None = None,
    progress: Progress | None = None,
    options: MatchOptions | Mapping[str, Any] = MatchOptions(),
) -> Matches:
    """The permutations that bring several models into one order, that of the first.

    ``to="first"``, or the number of a model, matches every other model to that one, as `match` does, and knows nothing
    of what the others have in common. ``to="universe"`` makes the objective of `match`, summed over all pairs, large:
    each model has one permutation onto a common order, so that those between two models are consistent around every
    cycle. The idea is that of Crisostomi et al., C²M³ (arXiv 2405.17897). They move all models at once, by Frank-Wolfe
    over doubly stochastic matrices that are rounded in the end, for weights, and have no groups over groups. Here model
    after model is matched to all others by the solver of `match`: every step is an exact assignment, and the objective
    never falls, from where all are matched to the first. Activations are compared too, at the cost of running every
    pair of models.

    Args:
        models: two or more, as for `match`; the universe holds all of them at once.
        to: ``first``, ``universe``, or the number of a model, counted from 0.
        groups: as for `match`. By default with data, to the universe: those kinds of groups with which the mean of all
            models, each matched to the first, has the lowest loss. There nothing is refined.
        sweeps: of every match at most; as many rounds of all models.
        method, data, similarity, device, seed, loss, progress, options: as for `match`.

    Raises:
        InputError: fewer than two models, a ``to`` that is none, ``options.refine`` with the universe, and as `match`.
        ArchitectureMismatch: the models and the symmetry do not belong to one architecture.
    """
    start = time.perf_counter()
    if len(models) < 2:
        raise InputError(f"matching takes two models or more; got {len(models)}")
    options = MatchOptions.of(options)
    listed = None if data is None else listed_once(data)
    arguments = {"groups": groups, "similarity": similarity, "device": device, "seed": seed, "sweeps": sweeps}
    arguments |= {"loss": loss, "progress": progress, "options": options}
    if to == "universe":
        found = _to_universe(models, symmetry, method, listed, **arguments)
    else:
        number = _number(to, len(models))
        pairs = [match(models[number], m, symmetry, method, listed, **arguments) for m in _but(models, number)]
        found = _to_one(pairs, number)
    return dataclasses.replace(found, to=to, seconds=time.perf_counter() - start)


def _number(to: str | int, count: int) -> int:
    number = 0 if to == "first" else to
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < count:
        raise InputError(f"to is {to!r}; it is first, universe, or the number of a model from 0 to {count - 1}")
    return number


def _but(models: Sequence[Model], number: int) -> list[Model]:
    return [model for n, model in enumerate(models) if n != number]


def _to_one(matches: Sequence[Match], number: int) -> Matches:
    """Matches to one model, in the order of the first."""
    moves = [m.permutations for m in matches]
    moves.insert(number, moves[0].symmetry.identity())
    back = moves[0].inverse()
    latest, history = [m.history[:1] or (0.0,) for m in matches], []
    for row in itertools.zip_longest(*(m.history for m in matches)):
        latest = [last if value is None else (value,) for value, last in zip(row, latest)]
        history.append(sum(last[0] for last in latest))
    first, others = matches[0], [n for n in range(len(moves)) if n != number]
    taking = {group for m in matches for group in m.groups}
    return Matches(
        tuple(back @ move for move in moves[1:]),
        first.method,
        number,
        tuple(group for group in first.permutations.symmetry.by_name if group in taking),
        tuple(history),
        0.0,
        tuple(f"model {n} to model {number}: {note}" for n, m in zip(others, matches) for note in m.notes),
        first.options,
    )


def _to_universe(
    models: Sequence[Model],
    symmetry: Symmetry,
    method: Method,
    data: list[Batch] | None,
    *,
    groups: str | Sequence[str] | None,
    similarity: str,
    device: str | torch.device,
    seed: int,
    sweeps: int,
    loss: Loss | None,
    progress: Progress | None,
    options: MatchOptions,
) -> Matches:
    if method not in ("weights", "activations", "identity"):
        raise InputError(f"method {method!r} is unknown; it is weights, activations or identity")
    options.check(method, similarity, has_data=data is not None)
    if options.refine:
        raise InputError(REFINED)
    inputs = read_inputs(models)
    symmetry = symmetry.fit({key: tuple(t.shape) for key, t in inputs[0].state.items()})
    allowed = tuple(symmetry.by_name) if groups is None else named_groups(symmetry, groups)
    if method == "identity":
        return Matches((symmetry.identity(),) * (len(inputs) - 1), method, "universe", (), (), 0.0, (), options)
    place = resolve_device(device)
    batches = None if data is None else drawn_share(data, options.share, seed)
    run = None if inputs[0].module is None or batches is None else (inputs[0].module, batches)
    symmetry, allowed = freedom(symmetry, allowed, options, run)
    notes = [f"not function-preserving: {reason}" for reason in symmetry.unsound]
    weights = WeightPairs([model.state for model in inputs], symmetry, place)
    pairs: Pairs = weights
    if method == "activations":
        pairs, unread = _read(inputs, Reader(symmetry, allowed, similarity, options, batches, place, progress))
        notes += unread
    universe = Universe(pairs, symmetry, len(inputs), sweeps, seed, progress)
    if groups is None and batches is not None:
        allowed, why = _chosen(universe, allowed, inputs, batches, loss, place)
        notes.append(why)
    order = universe.solve(allowed, weights=weights if method == "activations" else None)
    if order.left:
        notes.append(f"the data does not tell all units apart, so weights decide: {', '.join(order.left)}")
    return Matches(order.placed[1:], method, "universe", allowed, order.history, 0.0, tuple(notes), options)


def _read(inputs: Sequence[Input], reader: Reader) -> tuple[ActivationPairs, list[str]]:
    """What every pair of models reads, and what could not be read, said once."""
    found, notes = {}, dict[str, None]()
    for i, j in itertools.combinations(range(len(inputs)), 2):
        found[i, j], unread = reader.stages(inputs[i], inputs[j])
        notes |= dict.fromkeys(unread)
    return ActivationPairs(found), list(notes)


def _chosen(
    universe: Universe,
    allowed: tuple[str, ...],
    inputs: Sequence[Input],
    batches: list[Batch],
    loss: Loss | None,
    device: torch.device,
) -> tuple[tuple[str, ...], str]:
    """The groups with which the mean of all models is best, and why."""
    try:
        middle = Middle(inputs, batches, loss, device)
    except InputError as error:
        if loss is not None:
            raise
        return allowed, f"all groups take part, for want of a loss to choose them by ({error})"

    def barrier(chosen: tuple[str, ...]) -> float:
        return middle.barrier(universe.to_one(chosen).placed[1:])

    chosen, tried = choose_groups(universe.symmetry, allowed, barrier, middle.ends)
    return chosen, (
        f"groups chosen by the loss of the mean of all models, each matched to the first, above the mean of theirs on "
        f"{len(middle.batches)} calibration batches: {tried}"
    )
