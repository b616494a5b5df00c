"""Random maps of every class, and what they do to weights.

An *acting* says what one element of a group's class does to an axis: given the axis' action, a matrix for every joint
unit of the group's bases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from graphmerge.symmetry import DUAL, PRIMAL, STILL, Action, Block, Group, Move, Symmetry
from graphmerge.symmetry.permutations import block_index

STRETCH = 2.0  # maps stretch and shrink by at most this, so that rounding stays small
MONOMIAL = ("permutation", "signed_permutation", "scaled_permutation")
Acting = Callable[[Action], torch.Tensor]  # (bases ..., size, size)


def actions(symmetry: Symmetry, group: str) -> Iterator[Action]:
    """How a group acts, move by move."""
    for blocks in symmetry.layout.values():
        for block in blocks:
            yield from (m.action for m in block.moves if m.group == group and m.action is not None)


def element(symmetry: Symmetry, group: Group, generator: torch.Generator) -> Acting:
    """A random element of the group's own class: powers of scales and signs, or a linear map by its side."""
    if group.kind not in MONOMIAL:
        return of_kind(symmetry, group, group.kind, generator)
    shape = symmetry.shape(group.name)
    first = next(actions(symmetry, group.name))
    permutation = _permutations(shape, generator)
    scales = [_scales(shape, generator) for _ in first.scales]
    signs = [_signs(shape, generator) for _ in first.signs]

    def acting(action: Action) -> torch.Tensor:
        factor = torch.ones(shape, dtype=torch.float64)
        for value, power in (*zip(scales, action.scales), *zip(signs, action.signs)):
            factor = factor * value**power
        return factor[..., None] * permutation

    return acting


def of_kind(symmetry: Symmetry, group: Group, kind: str, generator: torch.Generator) -> Acting:
    """A random map of any kind, acting by the side of each axis; where nothing but permutations may act, these do."""
    shape = symmetry.shape(group.name)
    still = _permutations(shape, generator) if kind in MONOMIAL else torch.eye(shape[-1], dtype=torch.float64)
    still = still.expand(*shape, shape[-1])
    primal = _DRAWN[kind](shape, generator)
    if kind in MONOMIAL:
        primal = primal[..., None] * still
    by_side = {PRIMAL: primal, DUAL: torch.linalg.inv(primal).mT, STILL: still}
    return lambda action: by_side[action.side]


def _permutations(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Permutation matrices; two units that would all stay are swapped."""
    places = torch.rand(tuple(shape), generator=generator).argsort(-1)
    if bool((places == torch.arange(shape[-1])).all()):
        places = places.flip(-1)
    return torch.eye(shape[-1], dtype=torch.float64)[places]


def _signs(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Both signs occur."""
    signs = 1.0 - 2.0 * torch.randint(2, tuple(shape), generator=generator)
    signs[..., 0], signs[..., -1] = -1.0, 1.0
    return signs.double()


def _scales(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    return STRETCH ** (2 * torch.rand(tuple(shape), dtype=torch.float64, generator=generator) - 1)


def _orthogonal(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(*shape, shape[-1], dtype=torch.float64, generator=generator)
    return torch.linalg.qr(drawn)[0]


def _fixing_ones(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """A rotation of what is at right angles to the vector of ones."""
    size = shape[-1]
    start = torch.randn(size, size, dtype=torch.float64, generator=generator)
    start[:, 0] = 1.0
    basis = torch.linalg.qr(start)[0]
    inner = torch.eye(size, dtype=torch.float64).repeat(*shape[:-1], 1, 1)
    inner[..., 1:, 1:] = _orthogonal((*shape[:-1], size - 1), generator)
    return basis @ inner @ basis.mT


def _invertible(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    stretched = _orthogonal(shape, generator) * _scales(shape, generator)[..., None, :]
    return stretched @ _orthogonal(shape, generator)


def _rotary(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """A complex number for each pair of units, as a matrix of two by two."""
    pairs = (*shape[:-1], shape[-1] // 2)
    angle = 2 * torch.pi * torch.rand(pairs, dtype=torch.float64, generator=generator)
    number = torch.polar(_scales(pairs, generator), angle)
    matrix = torch.zeros(*shape, shape[-1], dtype=torch.float64)
    first = torch.arange(0, shape[-1], 2)
    matrix[..., first, first] = matrix[..., first + 1, first + 1] = number.real
    matrix[..., first, first + 1], matrix[..., first + 1, first] = -number.imag, number.imag
    return matrix


_DRAWN: Mapping[str, Callable[[Sequence[int], torch.Generator], torch.Tensor]] = {
    "signed_permutation": _signs,
    "scaled_permutation": _scales,
    "orthogonal_fixing_ones": _fixing_ones,
    "orthogonal": _orthogonal,
    "rotary": _rotary,
    "invertible": _invertible,
}


def moved(
    weights: Mapping[str, torch.Tensor], symmetry: Symmetry, group: str, acting: Acting
) -> dict[str, torch.Tensor]:
    """The weights with one group's axes mapped, each as its action says."""
    out = dict(weights)
    for key, blocks in symmetry.layout.items():
        own = [(block, move) for block in blocks for move in block.moves if move.group == group]
        if own:
            out[key] = weights[key].clone()
            for block, move in own:
                _map(out[key], block, move, acting(move.action or Action()))
    return out


def _map(tensor: torch.Tensor, block: Block, move: Move, matrix: torch.Tensor) -> None:
    """Map one factor of one block in place; ``matrix`` is (bases ..., size, size)."""
    rows = block_index(block)
    x = tensor[rows].reshape(block.sizes)
    others = [d for d in range(x.dim()) if d not in (*move.over, *move.dims)]
    order = [*move.over, *others, *move.dims]
    y = x.permute(order)
    shape = y.shape
    bases = shape[: len(move.over)]
    y = y.reshape(*bases, -1, matrix.shape[-1]).to(torch.promote_types(tensor.dtype, matrix.dtype))
    y = (y @ matrix.mT.to(y.dtype)).reshape(shape).permute(sorted(range(len(order)), key=order.__getitem__))
    tensor[rows] = y.reshape(tensor[rows].shape).to(tensor.dtype)


def opposite(kind: str, action: Action) -> Action:
    """The wrong side: dual for primal, inverse scales, a sign more or less. A rotation, its own dual, is left out."""
    if kind in ("invertible", "rotary"):
        return replace(action, side=PRIMAL if action.side == DUAL else DUAL)
    if kind not in MONOMIAL:
        return replace(action, side=STILL)
    if action.scales:
        return replace(action, scales=tuple(-p if p else 1 for p in action.scales))
    return replace(action, signs=tuple(1 - p % 2 for p in action.signs))
