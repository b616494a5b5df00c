"""Which tensors training changes."""

from __future__ import annotations

import torch


def _varies(tensor: torch.Tensor) -> bool:
    return tensor.numel() == 0 or not bool((tensor == tensor.flatten()[0]).all()) or not bool(tensor.isfinite().all())


def moving_tensors(model: torch.nn.Module) -> dict[str, str]:
    """Kind of each tensor that training changes: parameters, and buffers of modules that update them.

    Integer buffers and tables are constants whatever their flag; a persistent floating buffer moves if its module also
    counts batches (running statistics), or if all its entries are alike, so that it says nothing yet. Else it is a
    table.
    """
    kinds = {name: "parameter" for name, _ in model.named_parameters()}
    for path, module in model.named_modules():
        buffers = dict(module.named_buffers(recurse=False))
        updated = any(name.startswith("num_batches") for name in buffers)
        for name, buffer in buffers.items():
            if name in module._non_persistent_buffers_set or not buffer.is_floating_point():
                continue
            if updated or not (buffer.is_meta or _varies(buffer)):
                kinds[f"{path}.{name}" if path else name] = "buffer"
    return kinds
