"""Shared storage: which names are one tensor, and which tensors are views of another's storage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch

from graphmerge.algebra import Equation, Origin, Term
from graphmerge.rules import pin_tensor
from graphmerge.trace.program import Ref


def canonical_names(model: torch.nn.Module) -> dict[str, str]:
    """Every key of the state dict, in its order, with the name of the traced tensor that it is.

    Shared tensors are told by identity; their traced name is the first in ``named_parameters``.
    """
    first = {id(t): name for name, t in (*model.named_buffers(), *model.named_parameters())}
    return {
        key: first[id(tensor)]
        for key, tensor in model.state_dict(keep_vars=True).items()
        if isinstance(tensor, torch.Tensor) and id(tensor) in first
    }


def storage_equations(tensors: Mapping[str, torch.Tensor]) -> list[Equation]:
    """Ties between parameters that are different views of one storage.

    The same entries in another order of axes are a permute; any other overlap pins both tensors.
    """
    by_storage: dict[int, list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        by_storage[tensor.untyped_storage()._cdata].append(name)
    found: list[Equation] = []
    for names in by_storage.values():
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                found += _tie(a, b, tensors[a], tensors[b])
    return found


def _tie(name: str, other: str, a: torch.Tensor, b: torch.Tensor) -> list[Equation]:
    if _last(a) < b.storage_offset() or _last(b) < a.storage_offset():
        return []
    origin = Origin("shared storage", f"{name} and {other}", "", "", "tied parameter")
    letters = [f"x{k}" for k in range(a.dim())]
    strides = list(zip(a.stride(), a.shape))
    if a.storage_offset() == b.storage_offset() and sorted(strides) == sorted(zip(b.stride(), b.shape)):
        order = [strides.index(axis) for axis in zip(b.stride(), b.shape)]
        if len(set(order)) == len(order):
            axes = [(x,) for x in letters]
            terms = (Term(name, tuple(axes)), Term(other, tuple(axes[d] for d in order)))
            return [Equation(terms, dict(zip(letters, a.shape)), {}, origin)]
    reason = f"{name} and {other} overlap in memory"
    return [pin_tensor(Ref(n, tuple(t.shape)), reason, origin) for n, t in ((name, a), (other, b)) if t.dim()]


def _last(tensor: torch.Tensor) -> int:
    """Offset of the last entry in the storage."""
    return int(tensor.storage_offset()) + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride()))
