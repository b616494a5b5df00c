"""Points of a line between two models, written over one copy of the module."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping

import torch
from torch import nn

from graphmerge.merge.combine import check_ties, combine, storage_key


class Line:
    """Lines that start at A: a copy of the module on the device, overwritten in place with each point."""

    def __init__(self, module: nn.Module, a: Mapping[str, torch.Tensor], device: torch.device) -> None:
        self.model = copy.deepcopy(module).to(device).eval()
        self.device, self.whole = device, a
        self.a = {key: tensor.to(device) for key, tensor in a.items()}

    def towards(self, b: Mapping[str, torch.Tensor]) -> None:
        """From now on points lie between A and ``b``.

        Raises:
            ArchitectureMismatch: tensors that A ties differ in b.
        """
        check_ties(self.whole, b)
        self.b = {key: tensor.to(self.device) for key, tensor in b.items()}
        once: dict[Hashable, str] = {}
        for key, target in self.model.state_dict().items():  # shares the storage of the parameters
            once.setdefault(storage_key(target), key)
        self.keys = tuple(once.values())  # a tensor that has several names is written once
        self.plain = {key for key in self.keys if self._is_plain(key)}

    def at(self, lam: float) -> nn.Module:
        """The model at ``(1-λ)A + λB``."""
        targets = self.model.state_dict()
        with torch.no_grad():
            for key in self.keys:
                a, b = self.a[key], self.b[key]
                if key in self.plain:
                    torch.lerp(a, b, lam, out=targets[key])
                else:
                    targets[key].copy_(combine([a, b], [1 - lam, lam]))
        return self.model

    def _is_plain(self, key: str) -> bool:
        """Whether one pass over the numbers does: they are finite, and precise enough to be summed as they are."""
        a, b = self.a[key], self.b[key]
        precise = a.dtype == b.dtype and a.dtype in (torch.float32, torch.float64)
        # a sum is finite only if every number is, and costs no memory; if it overflows, the slower way is right too
        return precise and bool(torch.isfinite(a.sum() + b.sum()))
