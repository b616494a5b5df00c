"""A copy of a model's modules around the same tensors: what a forward pass leaves on them must not stay there."""

from __future__ import annotations

import collections
import copy
import types
from functools import cache
from typing import Any

import torch

ATOMS = (bool, int, float, complex, str, bytes, type(None), type, types.FunctionType, types.BuiltinFunctionType)
ATOMS_AND_TYPES = frozenset((*ATOMS, torch.dtype, torch.device, torch.Size))
EMPTY = frozenset((dict, list, set, collections.OrderedDict))


def isolated(model: torch.nn.Module) -> torch.nn.Module:
    """The same tensors in modules of their own: tables that a module caches on itself must not stay fake.

    As `copy.deepcopy` would do it; a module that says nothing of its own about copying is copied attribute by
    attribute, which takes a fourth of the time.
    """
    memo: dict[int, Any] = {id(t): t for t in (*model.parameters(), *model.buffers())}
    try:
        modules = [m for m in model.modules() if _is_simple(type(m))]
        for module in modules:
            memo[id(module)] = type(module).__new__(type(module))
        for module in modules:
            memo[id(module)].__dict__.update({k: _copied(v, memo) for k, v in module.__dict__.items()})
        return copy.deepcopy(model, memo)
    except Exception:  # modules that hold what cannot be copied
        return model


COPYING = (
    "__deepcopy__",
    "__copy__",
    "__new__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__slots__",
)


@cache
def _is_simple(cls: type) -> bool:
    """Is an instance of this class no more than its attributes? No class but Module and object says how to copy it."""
    foreign = [c for c in cls.__mro__ if c not in (torch.nn.Module, object)]
    return not any(name in c.__dict__ for c in foreign for name in COPYING)


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    if type(value) in ATOMS_AND_TYPES:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    if type(value) in EMPTY and not value:  # the hooks of most modules
        made = memo[id(value)] = type(value)()
        return made
    if type(value) is dict and all(type(k) is str for k in value):
        made = memo[id(value)] = {}
        made.update({k: _copied(v, memo) for k, v in value.items()})
        return made
    return copy.deepcopy(value, memo)
