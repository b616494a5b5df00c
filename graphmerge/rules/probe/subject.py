"""An op with its plain arguments, to be run on any tensors: what is probed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from graphmerge.trace.program import Node, Ref

UNTOUCHABLE = ("c10d", "_c10d_functional", "c10d_functional")  # they wait for other processes
TOLERANCE = 1e-10  # of an entry, and of the mean of all entries: rounding is below, a weight of 1e-6 is far above
WORK = 2**27  # entries that one probing may run an op on
LEAST = 2**15  # what a run counts for at least: calling an op costs as much as this many entries


class NotInferred(Exception):  # noqa: N818  (caught by infer: the call is pinned, with this as the reason)
    """Running the op does not tell what it does."""


@dataclass(frozen=True)
class Slot:
    """A tensor argument. ``held`` is its traced value if it is a constant; integers and masks keep it."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    held: torch.Tensor | None = None

    @property
    def fixed(self) -> bool:
        return self.held is not None and not is_smooth(self.held.dtype)


@dataclass(frozen=True)
class _Hole:
    """Place of a slot among the arguments."""

    number: int


class Subject:
    """Floating arguments are double, and so are dtypes among the plain arguments.

    A ``careful`` one is run at the traced sizes only, with integers that are valid indices.

    Raises:
        NotInferred: there is no such op, or it writes into its arguments, or waits for other processes.
    """

    def __init__(self, node: Node, constants: Mapping[str, Any], careful: bool = False) -> None:
        self.op = _resolve(node.op)
        self.careful = careful
        self.slots: list[Slot] = []
        self.work = 0
        self._constants = constants
        self._args = [self._template(a) for a in node.args]
        self._kwargs = {k: self._template(a) for k, a in node.kwargs.items()}

    def _template(self, value: Any) -> Any:
        if isinstance(value, Ref):
            self.slots.append(self._slot(value))
            return _Hole(len(self.slots) - 1)
        if isinstance(value, tuple | list):
            return [self._template(v) for v in value]
        if isinstance(value, torch.dtype):
            return promoted(value)
        return torch.device("cpu") if isinstance(value, torch.device) else value

    def _slot(self, ref: Ref) -> Slot:
        value = self._constants.get(ref.name)
        if value is None:
            return Slot(ref.shape, promoted(ref.dtype or torch.float64))
        held = torch.from_numpy(np.array(value))
        return Slot(ref.shape, promoted(held.dtype), held.to(promoted(held.dtype)))

    def run(self, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """All results; numbers come as tensors without axes.

        Raises:
            NotInferred: the op changed its arguments, or the work is more than `WORK`.
            Exception: whatever the op raises.
        """
        self.work += max(LEAST, sum(v.numel() for v in values))
        if self.work > WORK:
            raise NotInferred("finding out takes too many runs of it")
        given = [v.clone(memory_format=torch.contiguous_format) for v in values]
        with torch.no_grad():
            result = self.op(*_filled(self._args, given), **_filled(self._kwargs, given))
        results = [_plain(r) for r in _flat(result)]
        if not all(identical(a, b) for a, b in zip(values, given)):
            raise NotInferred("it writes into its arguments")
        return results


def _resolve(name: str) -> Any:
    op: Any = torch.ops
    for part in name.split("."):
        op = getattr(op, part, None)
    if not isinstance(op, torch._ops.OpOverload):
        raise NotInferred("it cannot be run by itself")
    if op.namespace in UNTOUCHABLE:
        raise NotInferred("it communicates with other processes")
    if op._schema.is_mutable:
        raise NotInferred("it writes into its arguments")
    return op


def _filled(template: Any, values: Sequence[torch.Tensor]) -> Any:
    if isinstance(template, _Hole):
        return values[template.number]
    if isinstance(template, list):
        return [_filled(t, values) for t in template]
    return {k: _filled(t, values) for k, t in template.items()} if isinstance(template, dict) else template


def _flat(result: Any) -> Iterator[Any]:
    if isinstance(result, tuple | list):
        for item in result:
            yield from _flat(item)
    else:
        yield result


def _plain(result: Any) -> torch.Tensor:
    if isinstance(result, torch.Tensor):
        return result.detach().resolve_conj().resolve_neg().clone()
    return torch.tensor(result if isinstance(result, bool | int | float | complex) else 0)


def promoted(dtype: torch.dtype) -> torch.dtype:
    """The double of a floating or complex dtype."""
    return torch.complex128 if dtype.is_complex else torch.float64 if dtype.is_floating_point else dtype


def is_smooth(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def identical(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit, NaNs equal."""
    if torch.equal(a, b):
        return True
    return is_smooth(a.dtype) and bool(((a == b) | (a.isnan() & b.isnan())).all())


def same(expected: Sequence[torch.Tensor], found: Sequence[torch.Tensor]) -> bool:
    """Equal up to rounding."""
    return len(expected) == len(found) and all(close(a, b) for a, b in zip(expected, found))


def close(expected: torch.Tensor, found: torch.Tensor) -> bool:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    if torch.equal(expected, found):
        return True
    if not is_smooth(expected.dtype):
        return False
    finite = expected.isfinite() & found.isfinite()
    if not identical(expected[~finite], found[~finite]):
        return False
    a, b = expected[finite], found[finite]
    size = a.abs()
    return bool(((a - b).abs() <= TOLERANCE * (size + size.mean())).all())
