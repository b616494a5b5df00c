"""What a plan will take: memory, disk and work of every stage, from sizes alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from graphmerge.evaluate.batches import weight
from graphmerge.match.halfway import held_out
from graphmerge.match.refine import CHECK, steps_of
from graphmerge.match.selection import kinds
from graphmerge.merge.combine import CHUNK
from graphmerge.recipe.plan import Plan
from graphmerge.recipe.schema import DERIVED
from graphmerge.report import PlanRow
from graphmerge.resolve import needs_weights
from graphmerge.symmetry import Symmetry

SINGLE, DOUBLE = 4, 8  # bytes of a float32, a float64
TRAINING = 3  # forward passes that a step of gradient descent is worth
REFINING = 5  # models beside the two: the one that runs, permuted B, its gradients, and the weights and their speed
COPIES = 3  # of the weights, while what a spec releases is measured: as they are, redrawn, and moved


def estimate(plan: Plan) -> list[PlanRow]:
    """A row for every stage. Memory is that of weights and statistics; activations and the program come on top."""
    return [row for row in (_groups(plan), _match(plan), _merge(plan), _evaluate(plan)) if row is not None]


def _groups(plan: Plan) -> PlanRow:
    where = "derived" if plan.recipe.spec == DERIVED else f"from {plan.recipe.spec}"
    if needs_weights(plan.recipe.spec):
        where += ", what it releases measured on the first model, redrawn in float64"
        parameters = sum(p.numel() for p in plan.weights[0].loaded.model.parameters())
        return PlanRow("groups", f"{len(plan.symmetry.groups)} groups {where}", COPIES * DOUBLE * parameters)
    return PlanRow("groups", f"{len(plan.symmetry.groups)} groups {where}, none of the weights read", 0)


def _match(plan: Plan) -> PlanRow:
    recipe, others = plan.recipe, len(plan.weights) - 1
    if recipe.match.method == "identity":
        return PlanRow("match", "nothing moves", 0)
    if recipe.match.to == "universe":
        return _universe(plan)
    solved, largest = assignments(plan.symmetry, plan.groups)
    what = f"{others} × {solved:,} assignments of {largest:,} units at most, once a sweep"
    memory, operations = _model_bytes(plan, 0) + max(_model_bytes(plan, n) for n in range(1, others + 1)), 0
    batches = plan.batches.get("calibration", [])
    if recipe.match.method == "activations":
        memory += statistics_bytes(plan.symmetry, plan.groups)
        operations += int(2 * others * recipe.match.share * _forward(plan, batches))
        part = "" if recipe.match.share == 1 else f"a share of {recipe.match.share:g} of "
        what = f"{2 * others} × {part}{len(batches)} batches of activations, {what}"
    else:
        memory += statistics_bytes(plan.symmetry, plan.groups) // 3
    some = held_out(batches)
    if plan.chosen:
        tries = _tries(len(kinds(plan.symmetry)))
        operations += others * (tries + 2) * _forward(plan, some)
        what += f", up to {tries} choices of groups tried on {len(some)} batches"
    if steps := steps_of(recipe.match.options, plan.chosen):
        one = batches[:1]
        operations += others * steps * (TRAINING * _forward(plan, one) + _forward(plan, some) // CHECK)
        memory += REFINING * _model_bytes(plan, 0)
        what += f", refined in up to {steps} steps"
    return PlanRow("match", what, memory, operations=operations)


def _universe(plan: Plan) -> PlanRow:
    """Matching all models to one another: they are there at once, and so is what every pair of them reads."""
    recipe, count, batches = plan.recipe, len(plan.weights), plan.batches.get("calibration", [])
    solved, largest = assignments(plan.symmetry, plan.groups)
    pairs, matrices = math.comb(count, 2), statistics_bytes(plan.symmetry, plan.groups)
    what = f"{count} × {solved:,} assignments of {largest:,} units at most, once a sweep and round"
    memory, operations = sum(_model_bytes(plan, n) for n in range(count)) + matrices // 3, 0
    if recipe.match.method == "activations":
        memory += matrices + pairs * matrices // 3
        operations += int(2 * pairs * recipe.match.share * _forward(plan, batches))
        part = "" if recipe.match.share == 1 else f"a share of {recipe.match.share:g} of "
        what = f"{2 * pairs} × {part}{len(batches)} batches of activations, {what}"
    else:
        memory += 2 * _model_bytes(plan, 0)  # the sum of the others, and one of them as it is moved
    if plan.chosen:
        some, tries = held_out(batches), _tries(len(kinds(plan.symmetry)))
        operations += (tries + count) * _forward(plan, some)
        memory += (count + 2) * _model_bytes(plan, 0)  # all of them moved, their mean, and the model that runs
        what += f", up to {tries} choices of groups tried on {len(some)} batches"
    return PlanRow("match", what, memory, operations=operations)


def _merge(plan: Plan) -> PlanRow:
    first = plan.weights[0]
    lengths = {key: t.numel() * t.dtype.itemsize for key, t in first.state.items()}
    tensors = sum(lengths.values()) if first.entries is None else sum(entry.length for entry in first.entries.values())
    held = sum(_model_bytes(plan, n) for n, w in enumerate(plan.weights) if w.entries is None)
    # what is converted is there twice while it is: as it is stored and as the class takes it
    twice = {key for w in plan.weights for key, conversion in w.sources.items() if not conversion.is_plain}
    merging = max((length * (len(plan.weights) + (key in twice)) for key, length in lengths.items()), default=0)
    merging += 3 * SINGLE * CHUNK
    count = len(set(first.ties.values()))
    whole = [weights.loaded.source for weights in plan.weights if weights.entries is None]
    way = f"one at a time, but for {' and '.join(whole)}, in memory as a whole" if whole else "one at a time"
    return PlanRow("merge", f"{count:,} tensors, {way}, {plan.shares.method}", held + merging, tensors)


def _evaluate(plan: Plan) -> PlanRow | None:
    evaluation = plan.recipe.evaluation
    if evaluation is None:
        return None
    batches, models = plan.batches["evaluation"], len(plan.weights)
    points = 0 if evaluation.points is None else 2 * evaluation.points - 1
    what = f"{models + 1} models on {len(batches)} batches"
    heads = models if plan.shares.kept else 0
    if heads:
        what += f", the merged one {heads} times more, with what each model keeps"
    if points:
        what += f", {points} points between the two, once with and once without permutations"
    copies = 5 if points else 2  # the line holds both ends, the permuted one, and the model that runs
    memory = copies * max(_model_bytes(plan, n) for n in range(models))
    return PlanRow("evaluate", what, memory, operations=(models + 1 + heads + points) * _forward(plan, batches))


def _model_bytes(plan: Plan, n: int) -> int:
    state, ties = plan.weights[n].state, plan.weights[n].ties
    return sum(state[keys[0]].numel() * state[keys[0]].dtype.itemsize for keys in set(ties.values()))


def _forward(plan: Plan, batches: list[Any]) -> int:
    """Operations of one model on some batches: two a parameter and token."""
    parameters = sum(p.numel() for p in plan.weights[0].loaded.model.parameters())
    return 2 * parameters * sum(_tokens(batch) for batch in batches)


def _tokens(batch: Any) -> int:
    ids = batch.get("input_ids") if isinstance(batch, Mapping) else None
    return ids.numel() if isinstance(ids, torch.Tensor) else weight(batch)


def _tries(count: int) -> int:
    """Choices of kinds of groups that are tried at most: all, none, and one left out or taken back at every step."""
    return min(2**count, 2 + count * (count + 1) // 2)


def assignments(symmetry: Symmetry, groups: tuple[str, ...]) -> tuple[int, int]:
    """How many assignments one sweep solves, and the most units of one.

    A group over others is solved for every pair of units of its bases that move, for every unit of those that stand.
    """
    moving, count, largest = set(groups), 0, 0
    for group in (symmetry[name] for name in groups):
        count += math.prod(symmetry.sizes[b] ** (2 if b in moving else 1) for b in group.over)
        largest = max(largest, group.size)
    return count, largest


def statistics_bytes(symmetry: Symmetry, groups: tuple[str, ...]) -> int:
    """Memory of the second moments at most: three matrices of joint units for every axis that groups move."""
    return sum(3 * SINGLE * units**2 for units in _axes(symmetry, set(groups)))


def _axes(symmetry: Symmetry, moving: set[str]) -> Iterator[int]:
    for blocks in symmetry.layout.values():
        for block in blocks:
            for axis in range(len(block.runs)):
                own = {d for move in block.moves if move.group in moving for d in (*move.dims, *move.over)}
                here = [d for d in own if block.axis_of(d) == axis]
                if here and len(block.runs) > 1:
                    yield math.prod(block.sizes[d] for d in here)
