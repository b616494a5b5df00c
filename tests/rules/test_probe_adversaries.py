"""Ops that would fool a careless observer, and random ones: what is inferred is never wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
import torch

from graphmerge.rules import infer
from graphmerge.rules.probe import inference
from graphmerge.trace.program import Node, Ref
from tests.algebra.solved import symmetry_of
from tests.rules.adversaries import adversaries
from tests.rules.calls import run
from tests.rules.examples import Example, f
from tests.rules.opaque import opaque
from tests.rules.test_examples import is_sound
from tests.rules.test_probe import inferred

Tensor = torch.Tensor
ADVERSARIES = adversaries()


@pytest.mark.parametrize("name", ADVERSARIES)
def test_adversary(name: str) -> None:
    example, expected = ADVERSARIES[name]
    derived = inferred(run(example))
    found = None if derived.unknown else "; ".join(map(str, derived.equations))
    assert found == expected, derived.unknown


@pytest.mark.parametrize("name", [n for n, (_, equation) in ADVERSARIES.items() if equation])
def test_what_is_inferred_of_an_adversary_is_sound(name: str) -> None:
    example, _ = ADVERSARIES[name]
    symmetry = symmetry_of(run(example).system(inferred(run(example))))
    assert all(is_sound(run(example, seed), symmetry) for seed in range(3))


def called(op: str, dtype: torch.dtype = torch.float64, *shape: int) -> Node:
    return Node("out", op, (Ref("x", shape or (3, 4), dtype),), {}, (Ref("out", shape or (3, 4), dtype),))


def no_double(x: Tensor) -> Tensor:
    raise TypeError("single precision only")


def wants_sorted(x: Tensor) -> Tensor:
    if not bool((x.diff() > 0).all()):
        raise ValueError("not sorted")
    return x


CANNOT = {
    "no kernel": (called(opaque("no_double", "(Tensor x) -> Tensor", no_double)), r"TypeError: single precision only"),
    "outside its domain": (
        called(opaque("wants_sorted", "(Tensor x) -> Tensor", wants_sorted)), r"ValueError: not sorted"
    ),
    "no such op": (called("nowhere.op.default"), "it cannot be run by itself"),
    "no op of a library": (called("wrap_with_something"), "it cannot be run by itself"),
    "in place": (called("aten.relu_.default"), "it writes into its arguments"),
    "other processes": (called("_c10d_functional.wait_tensor.default"), "it communicates with other processes"),
    "too large": (called("aten.special_bessel_j0.default", torch.float64, 3000, 3000), "too large to run it on"),
    "random": (called("aten.bernoulli.default"), "cannot be run on drawn arguments|different results"),
    "other shapes": (called("aten.t.default"), "results of other shapes"),
}  # fmt: skip


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_be_probed_is_pinned_with_the_reason(name: str) -> None:
    node, reason = CANNOT[name]
    derived = infer(node, {}, "unknown op")
    assert derived.unknown is not None
    assert derived.unknown.startswith("unknown op, and running it does not tell: ")
    assert re.search(reason, derived.unknown)
    assert all(set(q.pins) == set(q.sizes) for q in derived.equations)
    assert {t.tensor for q in derived.equations for t in q.terms} == {"x", "out"}


def test_randomness_outside_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    infer(called("aten.special_bessel_j1.default"), {}, "unknown op")
    assert torch.equal(torch.rand(3), expected)


def test_a_call_is_probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    monkeypatch.setattr(inference, "isolated", lambda function: runs.append(1) or function())
    for shape in ((3, 5), (3, 5), (5, 3), (5, 3)):
        infer(called("aten.special_i1.default", torch.float64, *shape), {}, "unknown op")
    assert len(runs) == 2


Step = Callable[[Tensor, Tensor, Tensor], Tensor]
# x (a, b, c) with a vector (c) and a matrix (b, b); each keeps the shape, or sums an axis that is then spread again
STEPS: dict[str, Step] = {
    "relu": lambda x, v, m: x.relu(),
    "tanh": lambda x, v, m: x.tanh(),
    "sign": lambda x, v, m: x.sign() + 0.1 * x,
    "gain": lambda x, v, m: x * v,
    "bias": lambda x, v, m: x + v,
    "mix": lambda x, v, m: m @ x,
    "mix symmetrically": lambda x, v, m: (m + m.T) @ x,
    "softmax a": lambda x, v, m: x.softmax(0),
    "softmax b": lambda x, v, m: x.softmax(1),
    "softmax c": lambda x, v, m: x.softmax(2),
    "norm bc": lambda x, v, m: x / (1 + x.square().mean((1, 2), keepdim=True)),
    "centre c": lambda x, v, m: x - x.mean(2, keepdim=True),
    "largest b": lambda x, v, m: x - x.amax(1, keepdim=True),
    "scan a": lambda x, v, m: x.cumsum(0),
    "scan c": lambda x, v, m: x.cumsum(2),
    "mirror b": lambda x, v, m: x + x.flip(1),
    "shift c": lambda x, v, m: x.roll(1, 2),
    "sort c": lambda x, v, m: x.sort(2).values,
    "first of c": lambda x, v, m: x + x[:, :, :1],
    "weights of positions": lambda x, v, m: x * torch.arange(1, x.shape[0] + 1, dtype=x.dtype)[:, None, None],
    "scores": lambda x, v, m: (x @ x.mT).softmax(-1) @ x,
    "outer": lambda x, v, m: x + x.mean(2, keepdim=True) * v,
}


@pytest.mark.parametrize("seed", range(40))
def test_random_compositions_are_sound(seed: int) -> None:
    """Up to four steps in one op."""
    chosen = random.Random(seed).choices(sorted(STEPS), k=1 + seed % 4)

    def composed(x: Tensor, v: Tensor, m: Tensor) -> Tensor:
        for step in chosen:
            x = STEPS[step](x, v, m)
        return x

    op = opaque(f"composed{seed}", "(Tensor x, Tensor v, Tensor m) -> Tensor", composed)
    example = Example(op, (f(3, 4, 5), f(5), f(4, 4)))
    symmetry = symmetry_of(run(example).system(inferred(run(example))))
    assert all(is_sound(run(example, seed), symmetry) for seed in range(3)), chosen


FOUND = {
    "gain relu": "x0 x1 x2, x2, q0! q1! -> x0 x1 x2",
    "mix gain": "x0 x1 x2, x2, x3 x1 -> x0 x3 x2",
    "mix symmetrically": "x0 x1 x2, q0!, x1 x1 -> x0 x1 x2 | x0 x2, x1",
    "softmax b": "x0 x1 x2, q0!, q1! q2! -> x0 x1 x2 | x0 x2",
    "scan a bias": "q0! x0 x1, x1, q1! q2! -> q3! x0 x1",
    "norm bc bias": "x0 x1 x2, x2, q0! q1! -> x0 x1 x2 | x0",
    "scores gain": "x0 x1 x2, x2, q0! q1! -> x0 x1 x2 | x0, x0 x1",
}


@pytest.mark.parametrize("names", FOUND)
def test_what_compositions_are(names: str) -> None:
    """Not only sound: the whole freedom."""
    steps, rest = [], names
    while rest:
        step = max((s for s in STEPS if rest.startswith(s)), key=len)
        steps.append(STEPS[step])
        rest = rest.removeprefix(step).strip()

    def composed(x: Tensor, v: Tensor, m: Tensor) -> Tensor:
        for step in steps:
            x = step(x, v, m)
        return x

    op = opaque("_".join(names.split()), "(Tensor x, Tensor v, Tensor m) -> Tensor", composed)
    (equation,) = inferred(run(Example(op, (f(3, 4, 5), f(5), f(4, 4))))).equations
    assert str(equation) == FOUND[names]
