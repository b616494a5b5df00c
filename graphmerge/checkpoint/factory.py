"""Models that a user's own file builds: ``file.py:factory``."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from graphmerge.errors import InputError

_FACTORY = re.compile(r"(?P<file>.+\.py)(:(?P<function>\w*))?")


def is_factory(source: str) -> bool:
    """Whether the text names a Python file, with or without a function in it.

    >>> is_factory("models/mine.py:build"), is_factory("models/mine")
    (True, False)
    """
    return _FACTORY.fullmatch(source) is not None


def call_factory(source: str) -> tuple[nn.Module, Any]:
    """Run the file, call the function without arguments; the module and its example inputs (None if it gives none).

    Raises:
        InputError: as `call_function`, or no module returned.
    """
    return _model_and_inputs(call_function(source), source)


def call_function(source: str) -> Any:
    """Run the file of ``file.py:function``, call the function without arguments; what it returns.

    Raises:
        InputError: no such file or function, or an error in the user's code (with its line).
    """
    function = find_function(source)
    return _guarded(factory_file(source), function)


def factory_file(source: str) -> Path:
    """The Python file of ``file.py:function``.

    Raises:
        InputError: the text names no Python file.
    """
    match = _FACTORY.fullmatch(source)
    if match is None:
        raise InputError(f"{source!r} does not name a function in a Python file; expected file.py:function")
    return Path(match["file"])


def find_function(source: str) -> Callable[..., Any]:
    """Run the file of ``file.py:function``; the function.

    Raises:
        InputError: no such file or function, or an error in the user's code (with its line).
    """
    path, name = factory_file(source), source.rpartition(".py")[2].removeprefix(":")
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if not name:
        raise InputError(f"{path} is a Python file; say which function builds what is wanted, as in {path}:build")
    module = _guarded(path, lambda: _run_file(path))
    factory = getattr(module, name, None)
    if not callable(factory):
        defined = sorted(k for k, v in vars(module).items() if callable(v) and _made_in(v, module))
        raise InputError(f"{path} has no function {name!r}; it defines {', '.join(defined) or 'none'}")
    return factory


def _model_and_inputs(made: Any, source: str) -> tuple[nn.Module, Any]:
    model, example_inputs = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(model, nn.Module):
        what = f"a tuple of {len(made)}" if isinstance(made, tuple) else f"a {type(made).__name__}"
        raise InputError(f"{source} returned {what}; expected a torch.nn.Module, or (module, example_inputs)")
    return model, example_inputs


def _run_file(path: Path) -> ModuleType:
    """The file as a module of its own; its folder can be imported from meanwhile, as if Python had started it."""
    path = path.resolve()
    name = f"graphmerge_factory_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be run as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up by name
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module


def _guarded(path: Path, call: Callable[[], Any]) -> Any:
    """What ``call`` returns; an error in it becomes one sentence with the line of the user's file."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        inside = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.resolve()]
        line = inside[-1].lineno if inside else getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else f"{path}"
        raise InputError(f"{place} raised {type(error).__name__}: {error}") from error


def _made_in(value: Any, module: ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__
