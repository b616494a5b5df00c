"""Example inputs: a user's own, and the same at other sequence lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils import _pytree

from graphmerge.errors import TraceError

LENGTHS = (11, 7, 5, 13, 3, 2)  # primes, so that they factor like nothing in a model
MEASURES = ("grid", "shape", "size")  # in the names of inputs that say how large others are
LIMITS = ("max_position_embeddings", "n_positions", "n_ctx", "max_target_positions", "max_seq_len", "max_length")

HOW = (
    "give example_inputs, a dict for model(**inputs) or a tuple for model(*inputs); on the command line, name a "
    "file.py:factory that returns (module, example_inputs)"
)


@dataclass(frozen=True)
class Inputs:
    """The arguments of ``model(*args, **kwargs)``; ``tensors`` are those that are tensors, by name."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, example: Any) -> Inputs:
        """From a dict for ``model(**batch)``, a tuple or list for ``model(*batch)``, or a single tensor.

        Raises:
            TraceError: something else, or no tensor in it.
        """
        if isinstance(example, Inputs):
            return example
        if isinstance(example, torch.Tensor):
            inputs = cls((example,), {})
        elif isinstance(example, Mapping):
            inputs = cls((), dict(example))
        elif isinstance(example, (tuple, list)):
            inputs = cls(tuple(example), {})
        else:
            raise TraceError(f"example inputs are a dict, a tuple or a tensor, not a {type(example).__name__}")
        if not inputs.tensors:
            raise TraceError("the example inputs hold no tensor")
        return inputs

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The arguments that are tensors, by name."""
        return {_name(path): leaf for path, leaf in self._leaves() if isinstance(leaf, torch.Tensor)}

    def _leaves(self) -> list[tuple[Any, Any]]:
        return _pytree.tree_flatten_with_path((self.args, self.kwargs))[0]

    def with_tensors(self, tensors: Mapping[str, torch.Tensor]) -> Inputs:
        """The same arguments with other tensors under the same names."""
        leaves, tree = _pytree.tree_flatten_with_path((self.args, self.kwargs))
        new = [tensors.get(_name(path), leaf) for path, leaf in leaves]
        args, kwargs = _pytree.tree_unflatten(new, tree)
        return replace(self, args=args, kwargs=kwargs)

    @property
    def ids(self) -> dict[str, torch.Tensor]:
        """Integer matrices (batch, length); those that are named after measures, as grids of patches are, are none."""
        whole = {n: t for n, t in self.tensors.items() if t.dim() == 2 and not t.is_floating_point()}
        return {n: t for n, t in whole.items() if not any(word in n for word in MEASURES)}

    @property
    def sequences(self) -> dict[str, torch.Tensor]:
        """Tensors whose second axis runs over a sequence: ids, else features (batch, length, width)."""
        return self.ids or {n: t for n, t in self.tensors.items() if t.dim() == 3 and t.is_floating_point()}

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the sequences, each once."""
        return tuple(dict.fromkeys(t.shape[1] for t in self.sequences.values()))

    @property
    def length(self) -> int | None:
        """The first sequence length, if there is one."""
        return self.lengths[0] if self.lengths else None

    def resized(self, length: int) -> Inputs:
        """Every axis that runs over a sequence gets ``length`` units; the contents repeat."""
        new = {}
        for name, tensor in self.tensors.items():
            axes = _sequence_axes(tensor, self.lengths) | ({1} if name in self.sequences else set())
            for axis in sorted(axes):
                where = torch.arange(length, device=tensor.device) % tensor.shape[axis]
                tensor = tensor.index_select(axis, where)
            new[name] = tensor
        return self.with_tensors(new)


def _name(path: Any) -> str:
    """``input_ids``, ``0``, ``images.1``: the place of a tensor among the arguments."""
    return ".".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path[1:])


def _sequence_axes(tensor: torch.Tensor, lengths: tuple[int, ...]) -> set[int]:
    """Axes as long as a sequence: the second; the last of a mask over positions, the last two over pairs of them."""
    shape, rank = tensor.shape, tensor.dim()
    along = {n for n in lengths if n > 1}
    found = {1} if rank in (2, 3) and shape[1] in along else set()
    if rank >= 3 and shape[-1] in along and (shape[-2] == 1 or shape[-2] in along):
        found |= {rank - 1} | ({rank - 2} if shape[-2] > 1 else set())
    return found


def lengths(model: torch.nn.Module, inputs: Inputs) -> Iterator[int]:
    """Sequence lengths to trace at: such that no axis of the model has the same size, as far as there are any."""
    config = getattr(model, "config", None)
    limits = [getattr(config, name, None) for name in LIMITS]
    cap = min((n for n in limits if isinstance(n, int) and n > 0), default=LENGTHS[0] + 2)
    taken = {n for p in model.parameters() for n in p.shape}
    fitting = [n for n in LENGTHS if n <= max(cap, inputs.length or 0)]
    yield from sorted(fitting, key=lambda n: n in taken or n == 2)
