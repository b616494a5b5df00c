"""Run in a copy of the process, so that whatever an op does there harms nobody.

A kernel that does not check its arguments may read beyond them on other sizes than it was called with; an op may hang,
or remember that it was run.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")
SECONDS = 60.0
COPIES = sys.platform == "linux"  # elsewhere a forked process may not use its libraries


class Crashed(Exception):  # noqa: N818  (what happened, caught by the caller)
    """The copy ended without a result."""


class Hung(Exception):  # noqa: N818
    """The copy took too long."""


def isolated(function: Callable[[], Result], seconds: float = SECONDS) -> Result:
    """The result of ``function``, which must be picklable and not an exception; where no copy can be made, run here.

    Raises:
        Crashed: the copy died.
        Hung: it took longer than ``seconds``.
    """
    if not COPIES:
        return function()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the copy has one, and uses one
        child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(function, writer)
    os.close(writer)
    try:
        answer = _read(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if not answer:
        raise Crashed(f"it crashed ({signal.Signals(number).name})" if (number := _signal(status)) else "it ended")
    return pickle.loads(answer)


def _answer(function: Callable[[], object], writer: int) -> None:
    """In the copy: run, write, and end at once, without anything that the process does at its end."""
    code = 1
    try:
        faulthandler.disable()
        torch.set_num_threads(1)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(function()))
        code = 0
    finally:
        os._exit(code)


def _read(reader: int, until: float) -> bytes:
    parts: list[bytes] = []
    while True:
        ready, _, _ = select.select([reader], [], [], max(until - time.monotonic(), 0))
        if not ready:
            raise Hung("it takes too long")
        part = os.read(reader, 2**16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _signal(status: int) -> int:
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
