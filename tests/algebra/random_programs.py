"""Random programs of tensor ops: as source text, so that a failing one can be read, shortened and kept.

A line computes ``v[k]`` from earlier values and parameters ``p[j]``. Sizes are few and small, so that axes that have
nothing to do with each other collide in size, which must decide nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import nn

from tests.algebra import random_ops as ops
from tests.algebra.random_code import Code, TooLarge

Family = Callable[[Code], None]
WEIGHTS: dict[Family, int] = {
    ops.linear: 4, ops.einsum: 5, ops.split_axis: 4, ops.merge_axes: 3, ops.reshape: 1, ops.permute: 2, ops.part: 3,
    ops.chunks: 3, ops.join: 4, ops.pad: 1, ops.combine: 7, ops.pointwise: 3, ops.along: 2, ops.reduce: 2,
    ops.copies: 2, ops.product: 1, ops.look_up: 1, ops.special: 2, ops.attend: 1,
}  # fmt: skip


def _finish(c: Code) -> list[str]:
    """Every value that nothing read becomes an output, mostly after a contraction that leaves its axes free."""
    outputs = []
    for k in sorted(c.unread):
        match c.rng.randrange(6):
            case 0:
                outputs.append(f"v[{k}]")
            case 1:
                outputs.append(f"torch.tanh(v[{k}]).sum()")
            case 2 if c.values[k]:
                outputs.append(f"torch.tanh(v[{k}]).mean(-1)")
            case _:
                outputs.append(f"torch.tanh(v[{k}] * {c.parameter(c.values[k])}).sum()")
    return outputs


class Drawn(nn.Module):
    """A random program as a module in float64; ``str`` gives its source."""

    def __init__(self, rng: random.Random, steps: int, families: Sequence[Family] = tuple(WEIGHTS)) -> None:
        super().__init__()
        code = Code(rng)
        while len(code.lines) < steps:
            with suppress(TooLarge):
                rng.choices(families, [WEIGHTS[f] for f in families])[0](code)
            del code.parameters[code.wanted :]
        self.outputs = _finish(code)
        self.lines = code.lines
        self.p = nn.ParameterList(torch.zeros(s, dtype=torch.float64) for s in code.parameters)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        names = {"torch": torch, "F": nn.functional, "v": [x], "p": self.p}
        for text in self.lines:
            names["v"].append(eval(text, names))
        return [torch.atleast_1d(eval(text, names)) for text in self.outputs]

    def __str__(self) -> str:
        shapes = ", ".join(f"p[{k}] {tuple(q.shape)}" for k, q in enumerate(self.p))
        lines = [f"v[{k + 1}] = {text}" for k, text in enumerate(self.lines)]
        return "\n".join([shapes, *lines, f"return {', '.join(self.outputs)}"])
