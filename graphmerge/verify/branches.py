"""Control flow that depends on data: the model itself runs on several weights and inputs, so that other branches show.

The traced graph has one way through the model. Here nothing is traced: each run draws weights and inputs anew, takes
whatever way they lead, and takes it again with permuted weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from graphmerge.errors import TraceError
from graphmerge.symmetry import Permutations
from graphmerge.trace.outputs import choose_outputs
from graphmerge.trace.settings import traceable
from graphmerge.trace.ways import numbers_decide
from graphmerge.verify.double import change, promote
from graphmerge.verify.draw import draw_inputs, draw_weights
from graphmerge.verify.trial import Trial

RUNS = 8
BRANCH_TOLERANCE = 1e-5  # in float64, but a model may cast to float32 on its way


@dataclass(frozen=True)
class Branches:
    """Runs of a model whose control flow depends on data.

    Attributes:
        runs: how many weights and inputs were drawn; ``failed`` of them the model did not take.
        paths: in how many different ways they led through the model (sequences of ops).
        max_error: largest relative change of any output under a random element, on any way; infinite where permuted
            weights led to outputs of other shapes.
    """

    runs: int
    failed: int
    paths: int
    max_error: float

    @property
    def ok(self) -> bool:
        return self.max_error <= BRANCH_TOLERANCE

    def __str__(self) -> str:
        return (
            f"control flow depends on data: {self.runs - self.failed} runs of the model itself took {self.paths} "
            f"different ways; largest change {self.max_error:.1e}"
        )


def other_branches(trial: Trial, model: torch.nn.Module, outputs: tuple[str, ...] | None) -> Branches | None:
    """Run the model on drawn weights and inputs, each before and after a random element.

    None if no value decides, or ids alone do: whatever the weights are, they lead the way that was traced.

    Raises:
        TraceError: the model takes none of what is drawn.
    """
    if not numbers_decide(trial.program):
        return None
    copied = copy.deepcopy(model).eval().double()
    paths: set[tuple[str, ...]] = set()
    errors, failures = [], []
    for number in range(RUNS):
        seed = trial.seed + 101 + number
        generator = torch.Generator().manual_seed(seed)
        weights = draw_weights(trial.program, trial.state, generator, (1.0, 2.0, 0.5)[number % 3])
        ways = (_inputs(trial, generator), dict(trial.program.example.tensors))  # drawn ids may stand for nothing
        try:
            inputs, before, path = _first_run(copied, trial, weights, ways, outputs)
        except (RuntimeError, IndexError, ValueError) as error:
            failures.append(error)
            continue
        paths.add(path)
        after, path = _run(copied, trial, _permuted(trial, weights, seed), inputs, outputs)
        paths.add(path)
        alike = {k: v.shape for k, v in before.items()} == {k: v.shape for k, v in after.items()}
        errors.append(change(before, after) if alike else float("inf"))
    if not errors:
        said = str(failures[0]).strip().partition("\n")[0]
        raise TraceError(
            f"control flow depends on data, and the model runs on none of the weights drawn ({said}); it cannot be "
            "verified"
        )
    return Branches(RUNS, len(failures), len(paths), max(errors))


Outcome = tuple[Mapping[str, torch.Tensor], dict[str, torch.Tensor], tuple[str, ...]]


def _first_run(
    model: torch.nn.Module,
    trial: Trial,
    weights: Mapping[str, torch.Tensor],
    ways: Sequence[Mapping[str, torch.Tensor]],
    outputs: tuple[str, ...] | None,
) -> Outcome:
    """The first inputs that the model takes, with the outputs and the ops of the run; else what the last raise."""
    *others, last = ways
    for inputs in others:
        try:
            return inputs, *_run(model, trial, weights, inputs, outputs)
        except (RuntimeError, IndexError, ValueError):
            continue
    return last, *_run(model, trial, weights, last, outputs)


def _inputs(trial: Trial, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Ids as `draw_inputs` draws them; floating inputs of both signs and any size."""
    drawn = draw_inputs(trial.program, generator)
    for name, tensor in drawn.items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, dtype=torch.float64, generator=generator)
            drawn[name] = noise + torch.randn((), dtype=torch.float64, generator=generator)
    return drawn


def _permuted(trial: Trial, weights: Mapping[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    given = {key: weights[name] for key, name in trial.keys.items()}
    moved = Permutations.random(trial.symmetry, seed=seed).apply(given)
    return dict(weights) | {name: moved[key] for key, name in trial.keys.items()}


class _Path(TorchDispatchMode):
    """Notes the ops that run; what they make of less than double precision they make in double."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ops.append(str(func))
        precise = {k: promote(v) if isinstance(v, torch.dtype) else v for k, v in (kwargs or {}).items()}
        return func(*args, **precise)


@contextmanager
def _doubles() -> Iterator[None]:
    """What is made without a dtype is made in double precision."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def _run(
    model: torch.nn.Module,
    trial: Trial,
    weights: Mapping[str, torch.Tensor],
    inputs: Mapping[str, torch.Tensor],
    outputs: tuple[str, ...] | None,
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    now = trial.program.example.with_tensors(inputs)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), traceable(model), _doubles(), _Path() as path:
        torch.manual_seed(0)
        returned = torch.func.functional_call(model, dict(weights), now.args, now.kwargs)
    return choose_outputs(returned, outputs), tuple(path.ops)
