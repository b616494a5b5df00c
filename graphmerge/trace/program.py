"""The product of tracing as plain data: nodes with op names as text, tensors with shapes, constants with values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from graphmerge.trace.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor that a call reads or writes.

    ``dtype`` is the traced one, None if unknown; ``alike`` are axes along which it was spread out from one unit, so
    that its entries cannot differ along them; ``strides`` say how it lies in memory, None if unknown. None of them
    tells two apart.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype | None = field(default=None, compare=False)
    alike: tuple[int, ...] = field(default=(), compare=False)
    strides: tuple[int, ...] | None = field(default=None, compare=False)

    @property
    def truth(self) -> bool:
        """Are its entries true or false?"""
        return self.dtype == torch.bool


@dataclass(frozen=True, slots=True)
class Node:
    """One call of an op. ``args`` hold plain values and `Ref`; ``outputs`` its tensors, in order."""

    name: str
    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Ref, ...]
    module: str = ""
    source: str = ""

    @property
    def reads(self) -> list[Ref]:
        """Every tensor among the arguments, in order."""
        return [r for a in (*self.args, *self.kwargs.values()) for r in _refs(a)]


def _refs(value: Any) -> list[Ref]:
    if isinstance(value, Ref):
        return [value]
    return [r for v in value for r in _refs(v)] if isinstance(value, tuple) else []


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Kind is parameter, buffer, activation or constant; only constants have a value.

    ``place`` says where in the model a constant is made (module and source line); empty if it is a buffer of it.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    value: np.ndarray | None = None
    place: str = ""


@dataclass
class Program:
    """One traced forward pass.

    ``module`` is the torch.fx GraphModule that was traced, ``placeholders`` the state-dict key or input name of each
    of its inputs; together they run the same function on other weights.
    """

    tensors: dict[str, TensorInfo]
    nodes: list[Node]
    inputs: tuple[str, ...]
    outputs: dict[str, str]  # output name -> tensor
    module: torch.fx.GraphModule
    placeholders: dict[str, str]
    example: Inputs
    notes: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)  # buffers that the forward pass writes -> op
    decided: dict[str, str] = field(default_factory=dict)  # tensors whose values Python code saw -> op that showed them
