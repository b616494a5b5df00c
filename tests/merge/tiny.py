"""A feed-forward network with two groups, written by hand."""

from __future__ import annotations

import torch
from torch import nn

from graphmerge.symmetry import Block, Group, Move, Permutations, Run, Symmetry


class Mlp(nn.Module):
    """4 inputs, two hidden layers of 6 and 5 units, 3 classes; a count of integers beside."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.one, self.two, self.three = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 3)
        self.register_buffer("seen", torch.tensor(seed))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.three(torch.tanh(self.two(torch.tanh(self.one(x)))))


def mlp_symmetry() -> Symmetry:
    """``a`` permutes the 6 units of the first hidden layer, ``b`` the 5 of the second."""
    sizes = {"one": (6, 4), "two": (5, 6), "three": (3, 5)}
    groups = {"one": ("a", None), "two": ("b", "a"), "three": (None, "b")}
    layout, shapes = {}, {}
    for name, shape in sizes.items():
        for key, axes in ((f"{name}.weight", (0, 1)), (f"{name}.bias", (0,))):
            moves = tuple(Move(group, (axis,)) for axis in axes if (group := groups[name][axis]) is not None)
            shapes[key] = tuple(shape[axis] for axis in axes)
            if moves:
                layout[key] = (Block(tuple(Run(0, (n,), (1,)) for n in shapes[key]), moves),)
    return Symmetry((Group("a", 6), Group("b", 5)), (), layout, {k: shapes[k] for k in layout}, model="Mlp")


def scrambled(model: Mlp, seed: int = 1) -> tuple[Mlp, Permutations]:
    """The model with its units in another order, and the permutations that bring them back."""
    moves = mlp_symmetry().random(seed=seed)
    return moves.apply(model), moves.inverse()
