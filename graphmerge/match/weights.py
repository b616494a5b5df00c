"""Matching by weights: ``Σ over tensors of ⟨A, P·B⟩`` (Ainsworth et al., Git Re-Basin, arXiv 2209.04836).

Every tensor counts once, under however many keys it is known; the blocks of a tensor are terms of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from graphmerge.match.terms import WeightTerm
from graphmerge.stats import slots_of
from graphmerge.symmetry import Block, Symmetry
from graphmerge.symmetry.permutations import block_index

State = Mapping[str, torch.Tensor]


def weight_terms(a: State, b: State, symmetry: Symmetry, device: torch.device) -> list[WeightTerm]:
    """The terms of the objective; ``symmetry`` fits the weights."""
    terms = []
    counted: dict[Any, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for key, blocks in symmetry.layout.items():
        x, y = a[key].detach(), b[key].detach()
        if not (x.is_floating_point() or x.is_complex()):
            continue
        same = counted.setdefault((blocks, x.shape), [])
        if any(torch.equal(x, other) and torch.equal(y, another) for other, another in same):
            continue  # tied, be it that its storage is shared or that a file holds it twice
        same.append((x, y))
        terms.extend(_term(x, y, block, symmetry, device) for block in blocks if block.moves)
    return terms


def _term(a: torch.Tensor, b: torch.Tensor, block: Block, symmetry: Symmetry, device: torch.device) -> WeightTerm:
    slots, dims = slots_of(block, symmetry)
    rest = [d for d in range(len(block.sizes)) if d not in {d for own in dims for d in own}]
    sizes = [torch.Size(block.sizes[d] for d in own).numel() for own in dims]

    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)

    def lined_up(tensor: torch.Tensor) -> torch.Tensor:
        x = tensor[block_index(block)].to(device, dtype)
        x = torch.view_as_real(x) if x.is_complex() else x
        x = x.reshape(*block.sizes, -1)  # one dimension a factor
        order = [*(d for own in dims for d in own), *rest, len(block.sizes)]
        return x.permute(order).reshape(*sizes, -1)  # (slots ..., rest)

    return WeightTerm(lined_up(a), lined_up(b), slots)
