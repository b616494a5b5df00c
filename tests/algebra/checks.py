"""What a random program must stand: random elements change nothing, and no permutation of its axes is forgotten."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from sympy.combinatorics import Permutation, PermutationGroup

import graphmerge as gm
from graphmerge.symmetry import Permutations, Symmetry
from tests.algebra.random_code import INPUT_SHAPE
from tests.algebra.random_programs import Drawn

State = dict[str, torch.Tensor]
ALLOWED = 1e-9
AMPLIFIED = 1e3  # an error that is no larger than this many times the effect of rounding proves nothing


def normal(shape: tuple[int, ...], g: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=g)


def drawn_state(program: Drawn, seed: int) -> State:
    g = torch.Generator().manual_seed(seed)
    return {key: 0.8 * normal(tuple(t.shape), g) for key, t in program.state_dict().items()}


def drawn_input(seed: int) -> torch.Tensor:
    return normal(INPUT_SHAPE, torch.Generator().manual_seed(1000 + seed))


def derive(program: Drawn) -> Symmetry:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ops that are pinned
        return gm.trace(program, (drawn_input(0),)).symmetry()


def outputs(program: Drawn, state: Mapping[str, torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        return torch.func.functional_call(program, dict(state), (x,))


def change(before: list[torch.Tensor], after: list[torch.Tensor]) -> float:
    """Largest change of any output relative to its largest entry."""
    gaps = [float((a - b).abs().max() / b.abs().max().clamp_min(1e-300)) for a, b in zip(after, before)]
    return max((gap if gap == gap else math.inf for gap in gaps), default=0.0)


def rounding(program: Drawn, state: State, x: torch.Tensor, before: list[torch.Tensor]) -> float:
    """How far the outputs move when the weights move by 1e-13."""
    g = torch.Generator().manual_seed(0)
    shaken = ({k: t * (1 + 1e-13 * normal(tuple(t.shape), g)) for k, t in state.items()} for _ in range(3))
    return max(change(before, outputs(program, s, x)) for s in shaken)


def elements(symmetry: Symmetry, seed: int) -> Iterator[Permutations]:
    """Of the whole, then of each group alone."""
    yield from (symmetry.random(seed=seed + k) for k in range(2))
    yield from (symmetry.random(seed=seed + k, groups=(g.name,)) for g in symmetry.groups for k in range(2))


def unsound(program: Drawn, symmetry: Symmetry, seed: int = 0) -> str | None:
    """What goes wrong, if anything does."""
    state, x = drawn_state(program, seed), drawn_input(seed)
    before = outputs(program, state, x)
    for element in elements(symmetry, seed):
        error = change(before, outputs(program, element.apply(state), x))
        if error > ALLOWED and error > AMPLIFIED * rounding(program, state, x, before):
            moved = [g for g, a in element.arrays.items() if not (a == np.arange(a.shape[-1])).all()]
            return f"{', '.join(moved)} change the outputs by {error:.1e} in\n{program}"
    return None


# -- completeness ------------------------------------------------------------------------------------------------------


def labels(program: Drawn) -> State:
    """A number for each entry of each parameter."""
    counter = itertools.count()
    return {
        key: torch.tensor([float(next(counter)) for _ in range(t.numel())]).reshape(t.shape)
        for key, t in program.state_dict().items()
    }


def as_permutation(state: State) -> Permutation:
    return Permutation([int(n) for t in state.values() for n in t.reshape(-1)])


def generated(program: Drawn, symmetry: Symmetry) -> PermutationGroup:
    """The symmetry as permutations of all entries; a swap and a cycle for each base index generate it."""
    start = labels(program)
    found = [as_permutation(start)]
    for group in symmetry.groups:
        shape = symmetry.shape(group.name)
        for index in np.ndindex(shape[:-1]):
            for order in ((1, 0, *range(2, group.size)), (*range(1, group.size), 0)):
                array = np.broadcast_to(np.arange(group.size), shape).copy()
                array[index] = order
                found.append(as_permutation(Permutations(symmetry, {group.name: array}).apply(start)))
    return PermutationGroup(found)


def forgotten(program: Drawn, symmetry: Symmetry, limit: int) -> str | None:
    """A permutation of whole axes of parameters that changes nothing and is not in the symmetry: tried one by one."""
    axes = [(k, a, n) for k, t in program.state_dict().items() for a, n in enumerate(t.shape) if n > 1]
    if math.prod(math.factorial(n) for *_, n in axes) > limit:
        return None
    draws = [(drawn_state(program, seed), drawn_input(seed)) for seed in range(2)]
    before = [outputs(program, *draw) for draw in draws]
    group = generated(program, symmetry)
    for orders in itertools.product(*(itertools.permutations(range(n)) for *_, n in axes)):

        def moved(state: State, orders: tuple[tuple[int, ...], ...] = orders) -> State:
            state = dict(state)
            for (key, axis, _), order in zip(axes, orders):
                state[key] = state[key].index_select(axis, torch.tensor(order))
            return state

        same = all(change(b, outputs(program, moved(s), x)) < 1e-11 for (s, x), b in zip(draws, before))
        if same and not group.contains(as_permutation(moved(labels(program)))):
            shown = [
                f"{key}[{axis}] {order}" for (key, axis, _), order in zip(axes, orders) if list(order) != sorted(order)
            ]
            return f"{', '.join(shown)} is not derived in\n{program}"
    return None
