"""Where models run: the one place that turns the word of a user into a device."""

from __future__ import annotations

import torch

from graphmerge.errors import InputError


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """``auto`` is the CUDA device where there is one, else the CPU; anything else is what torch calls it.

    Raises:
        InputError: torch knows no such device, or this machine has none.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # a name that torch knows may still be a device that is not here; and its tensors know its index
        return torch.empty(0, device=torch.device(device)).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(f"device {str(device)!r} cannot be used ({reason}); try auto, cpu or cuda") from None
