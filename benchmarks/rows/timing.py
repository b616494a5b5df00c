"""Timing two sides in alternating runs, in this process or in children."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spent:
    """Wall seconds, processor seconds, and, of a child, its largest resident set in bytes."""

    wall: float
    cpu: float
    peak: float = 0.0


def timed(call: Callable[[], Any]) -> Spent:
    """What a call spends in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def child(command: Sequence[str], **environment: str) -> Spent:
    """What a command spends in a process of its own.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed: {' '.join(said.splitlines()[-3:])}")
    return Spent(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def alternating(sides: Mapping[str, Callable[[], Spent]], runs: int, warm: int = 1) -> dict[str, tuple[Spent, ...]]:
    """All sides one after the other, ``runs`` times, in turn from either end; ``warm`` runs before do not count."""
    found: dict[str, list[Spent]] = {name: [] for name in sides}
    for run in range(-warm, runs):
        for name in sorted(sides, reverse=bool(run % 2)):
            spent = sides[name]()
            if run >= 0:
                found[name].append(spent)
    return {name: tuple(spent) for name, spent in found.items()}
