"""What models, batches and options hash to, so that results are never continued with others."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from graphmerge.errors import InputError
from graphmerge.evaluate.batches import Batch
from graphmerge.symmetry import Symmetry


def state_digest(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of all weights with their names, types and shapes."""
    found = hashlib.sha256()
    for key, tensor in state.items():
        _add(found.update, key, tensor)
    return found.hexdigest()


def batches_digest(batches: Iterable[Batch]) -> str:
    """SHA-256 of the batches in their order."""
    found = hashlib.sha256()
    for batch in batches:
        for key, value in batch.items() if isinstance(batch, Mapping) else enumerate(batch):
            _add(found.update, str(key), value)
        found.update(b"|")
    return found.hexdigest()


def symmetry_digest(symmetry: Symmetry) -> str:
    """SHA-256 of the groups and of what they move."""
    layout = sorted((key, repr(blocks)) for key, blocks in symmetry.layout.items())
    return hashlib.sha256(repr((symmetry.groups, layout)).encode()).hexdigest()


def described(value: Any, what: str) -> Any:
    """An option as plain data: batches by what they hash to, functions as `function_digest` tells them.

    Raises:
        InputError: nothing stable can be said of it.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return described(dataclasses.asdict(value), what)
    if isinstance(value, Mapping):
        return {str(key): described(entry, f"{what}.{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        if any(isinstance(entry, Mapping | list | tuple) for entry in value):
            return {"sha256": batches_digest(value)}
        return [described(entry, what) for entry in value]
    if callable(value):
        return function_digest(value)
    raise InputError(
        f"{what} is a {type(value).__name__}; a sweep takes text, numbers, lists of them, batches, functions"
    )


def function_digest(function: Callable[..., Any]) -> Any:
    """Module, name and SHA-256 of the source of a function, or of the class of what can be called.

    What it calls, and the state of an object, are not looked at.
    """
    if isinstance(function, functools.partial):
        given = {**{str(n): value for n, value in enumerate(function.args)}, **function.keywords}
        return {"of": function_digest(function.func), "given": described(given, "an argument")}
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    try:
        source = hashlib.sha256(inspect.getsource(named).encode()).hexdigest()
    except (OSError, TypeError):  # typed at a prompt, or compiled
        source = "unknown"
    return f"{named.__module__}.{named.__qualname__} {source}"


def _add(update: Callable[[bytes | memoryview], None], key: str, value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        known = isinstance(value, str | int | float | bool | None)
        update(f"{key}={value if known else type(value).__name__};".encode())
        return
    update(f"{key}:{value.dtype}{tuple(value.shape)};".encode())
    flat = value.detach().cpu().contiguous().reshape(-1)
    if flat.numel():
        update(flat.view(torch.uint8).numpy().data)
