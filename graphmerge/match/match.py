"""Bringing one model closest to another: the public entry."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from graphmerge.device import resolve_device
from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch, listed_once
from graphmerge.evaluate.loss import Loss
from graphmerge.files import write_json
from graphmerge.match.ascent import Progress
from graphmerge.match.freedom import freedom
from graphmerge.match.halfway import Halfway
from graphmerge.match.options import MatchOptions
from graphmerge.match.reading import Reader
from graphmerge.match.refine import refine_match, steps_of
from graphmerge.match.selection import choose_groups, named_groups
from graphmerge.match.stages import Stage, Stages
from graphmerge.match.weights import weight_terms
from graphmerge.merge.inputs import Model, read_inputs
from graphmerge.stats.share import drawn_share
from graphmerge.symmetry import Permutations, Symmetry

Method = Literal["weights", "activations", "identity"]
FORMAT = "graphmerge.match.1"


@dataclass(frozen=True, eq=False)
class Match:
    """Permutations that move B onto A, and how they were found.

    ``groups`` took part; ``history`` is the objective at the start and after every sweep; ``notes`` say what was chosen
    or left out, ``options`` how they were asked for. ``barriers`` are those halfway between the models on calibration
    data, before and while the match was refined; none if it was not.
    """

    permutations: Permutations
    method: Method
    groups: tuple[str, ...]
    history: tuple[float, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    options: MatchOptions = MatchOptions()
    barriers: tuple[float, ...] = ()

    @property
    def preserving(self) -> bool:
        """Does moving B leave its function unchanged? Not with options that were allowed to be unsound."""
        return self.permutations.symmetry.preserving

    def to_json(self, path: str | Path | None = None) -> str:
        """All but the permutations (which have a `save` of their own) as JSON text, written to ``path`` if given."""
        data = {
            "format": FORMAT,
            "method": self.method,
            "groups": list(self.groups),
            "history": list(self.history),
            "barriers": list(self.barriers),
            "seconds": self.seconds,
            "notes": list(self.notes),
            "options": dataclasses.asdict(self.options),
            "unsound": list(self.permutations.symmetry.unsound),
        }
        return write_json(data, path)


def match(
    a: Model,
    b: Model,
    symmetry: Symmetry,
    method: Method = "weights",
    data: Iterable[Batch] | None = None,
    *,
    groups: str | Sequence[str] | None = None,
    similarity: str = "correlation",
    device: str | torch.device = "auto",
    seed: int = 0,
    sweeps: int = 30,
    loss: Loss | None = None,
    progress: Progress | None = None,
    options: MatchOptions | Mapping[str, Any] = MatchOptions(),
) -> Match:
    """The permutations that bring B closest to A: ``match(a, b, symmetry).permutations.apply(b)``.

    ``weights`` makes ``Σ over tensors of ⟨A, P·B⟩`` large (Ainsworth et al., arXiv 2209.04836), ``activations`` the sum
    over taps of the similarity of units over tokens (Verma and Elbayad, arXiv 2403.00986), ``identity`` moves nothing.
    Groups over others (the dimensions inside heads) are solved for every pair of units of their base, and the base on
    what those solutions are worth. If b is ``p.apply(a)``, the match is ``p.inverse()``.

    Args:
        a, b: modules or paths; for ``weights`` also state dicts.
        data: calibration batches, as for `evaluate`; ``activations`` needs them. Positions where ``attention_mask`` (or
            ``decoder_attention_mask``) is 0 are not counted, nor next tokens whose label is -100.
        groups: which take part, as globs (``"ffn,heads"``, ``["layers.*.ffn"]``); a word is the last part of names,
            and a base brings the groups over it. By default all without data; with data those kinds of groups
            whose match has the lowest barrier halfway between the models, which is then refined by gradients of the
            loss (``options.refine``).
        similarity: of activations: ``correlation``, ``covariance`` or ``inner_product``.
        device: ``auto`` is CUDA where there is one.
        seed: of the order in which groups that depend on each other are solved.
        sweeps: how often they are solved again at most.
        loss: as for `evaluate`; by which the groups are chosen, and the match is refined.
        progress: called with (done, in all), in batches and then in groups with their inner ones; starts again with
            every stage.
        options: what else may be chosen: `MatchOptions`, or its names and values.

    Raises:
        InputError: no such method, similarity or group; ``activations`` without modules or data; options that mean
            nothing together, or for this model; as `evaluate` if a ``loss`` is given.
        ArchitectureMismatch: a, b and the symmetry do not belong to one architecture.
    """
    start = time.perf_counter()
    if method not in ("weights", "activations", "identity"):
        raise InputError(f"method {method!r} is unknown; it is weights, activations or identity")
    options = MatchOptions.of(options)
    options.check(method, similarity, has_data=data is not None)
    ours, theirs = read_inputs([a, b])
    symmetry = symmetry.fit({key: tuple(t.shape) for key, t in ours.state.items()})
    allowed = tuple(symmetry.by_name) if groups is None else named_groups(symmetry, groups)
    if method == "identity":
        return Match(symmetry.identity(), method, (), (), time.perf_counter() - start)
    place = resolve_device(device)
    batches = None if data is None else drawn_share(listed_once(data), options.share, seed)
    run = None if ours.module is None or batches is None else (ours.module, batches)
    symmetry, allowed = freedom(symmetry, allowed, options, run)
    notes = tuple(f"not function-preserving: {reason}" for reason in symmetry.unsound)
    if method == "weights":
        stages = (Stage(tuple(weight_terms(ours.state, theirs.state, symmetry, place)), frozenset(allowed)),)
    else:
        reader = Reader(symmetry, allowed, similarity, options, batches, place, progress)
        stages, unread = reader.stages(ours, theirs)
        notes = (*notes, *unread)
    solver = Stages(stages, symmetry, sweeps, seed, progress)
    halfway = None
    if batches is not None and (groups is None or options.refine):
        try:
            halfway = Halfway(ours, theirs, batches, loss, place)
        except InputError as error:
            if loss is not None or options.refine:
                raise
            notes = (*notes, f"all groups take part, for want of a loss to choose them by ({error})")
    if halfway is not None and groups is None:
        judge = halfway
        allowed, tried = choose_groups(
            symmetry, allowed, lambda chosen: judge.barrier(solver.solve(chosen).permutations), judge.ends
        )
        why = f"groups chosen by the barrier halfway between the models on {len(judge.batches)} calibration batches: "
        notes = (*notes, why + tried)
    weights = (lambda: weight_terms(ours.state, theirs.state, symmetry, place)) if method == "activations" else None
    solution = solver.solve(allowed, weights)
    if solution.left:
        notes = (*notes, f"the data does not tell all units apart, so weights decide: {', '.join(solution.left)}")
    permutations, barriers = solution.permutations, ()
    if halfway is not None and allowed and (steps := steps_of(options, groups is None)):
        try:
            refined = refine_match(halfway, permutations, allowed, steps, progress)
        except InputError as error:
            if options.refine is not None:
                raise
            notes = (*notes, f"not refined: {error}")
        else:
            permutations, barriers = refined.permutations, refined.barriers
            notes = (*notes, str(refined)) if refined.steps else notes
    seconds = time.perf_counter() - start
    return Match(permutations, method, allowed, solution.history, seconds, notes, options, barriers)
