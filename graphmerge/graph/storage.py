"""Shared storage: which names are one tensor, and which tensors are views of another's storage."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import torch

from graphmerge.algebra import Equation, Origin, Term, Window
from graphmerge.algebra.equation import AxisExpr, letter_of
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

    Transposes and slices of the same entries are windows of one another; any other overlap pins both tensors.
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
    places, others = _places(a), _places(b)
    shared, also = torch.isin(places, others), torch.isin(others, places)
    if not shared.any():
        return []
    origin = Origin("shared storage", f"{name} and {other}", "", "", "tied parameter")
    terms = (_window_term(name, a, shared), _window_term(other, b, also))
    one, two = _sizes(terms[0], shared), _sizes(terms[1], also)
    wide = [{x: n for x, n in sizes.items() if n > 1} for sizes in (one, two)]
    if wide[0] == wide[1] and math.prod(wide[0].values()) == int(shared.sum()) == int(also.sum()):
        return [Equation(terms, one | two, {}, origin)]
    reason = f"{name} and {other} overlap in memory"
    return [pin_tensor(Ref(n, tuple(t.shape)), reason, origin) for n, t in ((name, a), (other, b)) if t.dim()]


def _last(tensor: torch.Tensor) -> int:
    """Offset of the last entry in the storage."""
    return int(tensor.storage_offset()) + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride()))


def _places(tensor: torch.Tensor) -> torch.Tensor:
    """Offset of every entry in the storage, in the tensor's shape."""
    places = torch.tensor(tensor.storage_offset())
    for size, stride in zip(tensor.shape, tensor.stride()):
        places = places[..., None] + torch.arange(size) * stride
    return places


def _spans(shared: torch.Tensor) -> list[tuple[int, int]]:
    """First and last unit of each axis that holds a shared entry."""
    units = [shared.movedim(d, 0).reshape(n, -1).any(1).nonzero().flatten() for d, n in enumerate(shared.shape)]
    return [(int(u[0]), int(u[-1])) for u in units]


def _sizes(term: Term, shared: torch.Tensor) -> dict[str, int]:
    lengths = [last - first + 1 for first, last in _spans(shared)]
    return {letter_of(item): n for axis, n in zip(term.axes, lengths) for item in axis}


def _window_term(name: str, tensor: torch.Tensor, shared: torch.Tensor) -> Term:
    """The part of a tensor that holds the shared entries; the letter of an axis is its stride."""
    axes: list[AxisExpr] = []
    for (first, last), stride, total in zip(_spans(shared), tensor.stride(), tensor.shape):
        letter = f"x{stride}"
        if total == 1:
            axes.append(())
        else:
            axes.append((letter,) if last - first + 1 == total else (Window(letter, first, total),))
    return Term(name, tuple(axes))
