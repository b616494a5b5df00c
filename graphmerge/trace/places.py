"""Where in a model an op is called: the module that runs, and the source line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

LIBRARY_FOLDERS = (os.path.dirname(torch.__file__), os.path.dirname(__file__))
Place = Callable[[], tuple[str, str]]
_foreign: dict[str, str] = {}  # file -> its name, empty for files of torch and of this package


@contextmanager
def places(model: torch.nn.Module) -> Iterator[Place]:
    """A function that says (module path, source line) of what runs at present.

    Modules are followed by their call, which costs less than a hook on each of them.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    stack = [""]
    call = torch.nn.Module.__call__

    def followed(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        path = paths.get(id(module))
        if path is None:
            return call(module, *args, **kwargs)
        stack.append(path)
        try:
            return call(module, *args, **kwargs)
        finally:
            stack.pop()

    torch.nn.Module.__call__ = followed  # type: ignore[method-assign]
    try:
        yield lambda: (stack[-1], _user_line())
    finally:
        torch.nn.Module.__call__ = call  # type: ignore[method-assign]


def _user_line() -> str:
    """``file.py:88`` of the innermost frame outside torch and this package."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        name = _foreign.get(file)
        if name is None:
            own = file.startswith(LIBRARY_FOLDERS) or file.startswith("<")
            name = _foreign[file] = "" if own else os.path.basename(file)
        if name:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
