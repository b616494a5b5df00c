"""Weighted sums of tensors and of state dicts: the one place where weights are averaged."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import torch

from graphmerge.checkpoint.wording import listed
from graphmerge.errors import ArchitectureMismatch

State = Mapping[str, torch.Tensor]
CHUNK = 1 << 22  # entries that are summed at once, so that a large tensor is never held in float32 as a whole


def combine(tensors: Sequence[torch.Tensor], weights: Sequence[float], out: torch.Tensor | None = None) -> torch.Tensor:
    """``Σ_i weights[i] · tensors[i]`` in the dtype and on the device of the first.

    Summed in float32, or float64 where one of the tensors is. Equal tensors give themselves exactly (so do masks of
    infinities). Integers and booleans, which have no average, are those of the first. ``out`` may be the first tensor,
    contiguous: then its memory is used for the result where that saves any.
    """
    first = tensors[0]
    averaged = first.is_floating_point() or first.is_complex()
    if not averaged or all(other is first or _equal(first, other) for other in tensors[1:]):
        return first if out is first else first.clone()
    if first.numel() <= CHUNK or not all(tensor.is_contiguous() for tensor in tensors):
        return _sum(tensors, weights)
    out = torch.empty_like(first) if out is None else out
    for target, *sources in zip(*(tensor.view(-1).split(CHUNK) for tensor in (out, *tensors))):
        target.copy_(_sum(sources, weights))
    return out


def _sum(tensors: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    first = tensors[0]
    precise = torch.float32
    for tensor in tensors:
        precise = torch.promote_types(precise, tensor.dtype)
    total = torch.zeros_like(first, dtype=precise)
    for tensor, weight in zip(tensors, weights):
        if weight:  # 0 · inf would be NaN
            total.add_(tensor.to(device=first.device, dtype=precise), alpha=weight)
    return total.to(first.dtype)


def combine_states(
    states: Sequence[State], weights: Sequence[float], kept: Mapping[str, int] | None = None
) -> dict[str, torch.Tensor]:
    """`combine`, tensor by tensor, with the keys and their order of the first; what is tied there stays tied.

    ``kept`` are keys whose tensors are those of the state with that number.

    Raises:
        ArchitectureMismatch: tensors that the first model ties differ in another one.
    """
    first = states[0]
    for other in states[1:]:
        check_ties(first, other)
    done: dict[Hashable, torch.Tensor] = {}
    merged = {}
    for key, tensor in first.items():
        place = storage_key(tensor)
        if place not in done:
            own = None if kept is None else kept.get(key)
            aligned = [state[key] for state in states]
            done[place] = combine(aligned, weights) if own is None else aligned[own].to(aligned[0], copy=True)
        merged[key] = done[place]
    return merged


def interpolate(a: State, b: State, lam: float) -> dict[str, torch.Tensor]:
    """The point ``(1 - λ) A + λ B`` of the line between two state dicts of one architecture, as a new state dict.

    λ may lie outside [0, 1]. Dtypes, devices, ties and integer tensors are those of ``a``.

    >>> interpolate({"w": torch.tensor([0.0, 2.0])}, {"w": torch.tensor([4.0, 2.0])}, 0.25)
    {'w': tensor([1., 2.])}
    """
    return combine_states([a, b], [1 - lam, lam])


def check_ties(first: State, other: State) -> None:
    """Tensors that ``first`` ties are equal in ``other``, or tying them would lose one of the two.

    Raises:
        ArchitectureMismatch: names the tensors.
    """
    names: dict[Hashable, list[str]] = {}
    for key, tensor in first.items():
        names.setdefault(storage_key(tensor), []).append(key)
    for tied in names.values():
        if any(not _equal(other[tied[0]], other[key]) for key in tied[1:]):
            raise ArchitectureMismatch(
                f"the first model ties {listed(tied)}, another one has them apart; untie the first"
            )


def storage_key(tensor: torch.Tensor) -> Hashable:
    """Equal for two tensors that share storage, offset, shape and stride."""
    if tensor.device.type == "meta" or tensor.numel() == 0:
        return id(tensor)
    return (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride())


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    return storage_key(a) == storage_key(b) or (a.dtype == b.dtype and torch.equal(a, b.to(a.device)))
