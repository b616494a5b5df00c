"""What every rule says, held against the op itself in float64: sound, and what freedom it leaves unused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import pytest
import torch

from graphmerge.rules import known_ops, op_key
from graphmerge.rules.labels import ROWS
from graphmerge.symmetry import Permutations, Symmetry
from tests.algebra.solved import symmetry_of
from tests.rules import label_examples, recurrent_examples  # noqa: F401  (they add to EXAMPLES)
from tests.rules.calls import Run, Values, run
from tests.rules.examples import EXAMPLES, Example


def test_every_op_with_a_rule_has_an_example() -> None:
    assert {op_key(e.op) for e in EXAMPLES} == set(known_ops())


def elements(symmetry: Symmetry) -> Iterator[Permutations]:
    """Random ones of the whole, and of each group alone."""
    for seed in range(3):
        yield symmetry.random(seed=seed)
    for group in symmetry.groups:
        yield symmetry.random(seed=7, groups=(group.name,))


def same(expected: Values, found: Values) -> bool:
    return all(
        expected[k].shape == v.shape and torch.allclose(expected[k], v, rtol=1e-11, atol=1e-11, equal_nan=True)
        for k, v in found.items()
        if k + ROWS not in found  # labels are compared by what they name
    )


def is_sound(example: Run, symmetry: Symmetry) -> bool:
    """The op of permuted arguments is its permuted result."""
    before = example.outputs(example.values)
    for element in elements(symmetry):
        moved = element.apply({**example.values, **before})
        if not same(moved, example.outputs({name: moved[name] for name in example.values})):
            return False
    return True


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_sound(example: Example) -> None:
    call = run(example)
    assert call.derived().unknown is None
    assert is_sound(call, symmetry_of(call.system()))


# What the rules pin although the op would allow it, by example: known, and too rare to be worth a rule.
UNUSED = {
    "view.dtype(3x4, torch.int64)": ["in0[0] out.0[0]", "in0[1] out.0[1]"],
    "index_put(3x4, [2], 4)": ["in1[0]"],  # every place gets the same values
    "scatter_reduce.two(3x4, 1, 3x2, 3x2, amax)": ["in1[1] in2[1]"],
}


def pinned_axes(call: Run) -> dict[int, list[tuple[str, int]]]:
    """Axes no unit of which moves, by size; of the arguments that the rule speaks of, and of results."""
    system = call.system()
    spoken = {t.tensor for equation in system.equations for t in equation.terms} - set(call.constants)
    moving = {(axis.tensor, axis.axis) for group in symmetry_of(system).groups for axis in group.members}
    found: dict[int, list[tuple[str, int]]] = {}
    tensors = {**call.values, **call.outputs(call.values)}
    for name, tensor in {n: t for n, t in tensors.items() if n + ROWS not in tensors}.items():
        for axis, size in enumerate(tensor.shape):
            if size > 1 and (name, axis) not in moving and name in spoken:
                found.setdefault(size, []).append((name, axis))
    return found


def commutes(call: Run, axes: Sequence[tuple[str, int]], size: int) -> bool:
    """The same permutation along all these axes: is the op of permuted arguments its permuted result?"""
    before = call.outputs(call.values)
    for seed in range(3):
        order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
        moved = {**call.values, **before}
        for name, axis in axes:
            moved[name] = moved[name].index_select(axis, order)
        if not same(moved, call.outputs({name: moved[name] for name in call.values})):
            return False
    return True


def unused_freedom(call: Run) -> Iterator[str]:
    """Sets of pinned axes, one a tensor at most, that could move together; no set that holds a smaller one."""
    for size, axes in pinned_axes(call).items():
        known: list[set[tuple[str, int]]] = []
        for chosen in (c for n in range(1, 4) for c in combinations(axes, n)):
            if len({name for name, _ in chosen}) < len(chosen) or any(k <= set(chosen) for k in known):
                continue
            if commutes(call, chosen, size):
                known.append(set(chosen))
                yield " ".join(f"{name}[{axis}]" for name, axis in chosen)


def test_unused_freedom() -> None:
    """Some draws each: on one alone, indices may happen to be equal."""
    found = {}
    for example in EXAMPLES:
        always = set.intersection(*(set(unused_freedom(run(example, seed))) for seed in range(3)))
        if always:
            found[str(example)] = sorted(always)
    assert found == UNUSED
