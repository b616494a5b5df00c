"""Goes through the catalogue on a few processes, with a bound of time for each case, and keeps what it finds.

python -m benchmarks.coverage [--jobs 2] [--only bert,gpt2] [--tenth] [--results FILE] [--fresh] [--report]
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.coverage.catalogue import Case
from benchmarks.coverage.examine import Row, examine

SECONDS = 40.0  # for one case
MEMORY = 12 << 30  # bytes of address space for one process


def sweep(cases: Sequence[Case], jobs: int, seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """Rows as they come. A case that takes longer than ``seconds`` is stopped, with its process, and says so."""
    context = multiprocessing.get_context("fork")
    waiting = list(reversed(cases))
    running: dict[Connection, _Worker] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            worker = _Worker(context, waiting.pop())
            running[worker.pipe] = worker
        for pipe in wait(list(running), timeout=0.5):
            worker = running[pipe]  # type: ignore[index]
            yield worker.result()
            if waiting and worker.process.is_alive():
                worker.give(waiting.pop())
            else:
                worker.stop()
                del running[worker.pipe]
        for worker in [w for w in running.values() if time.perf_counter() - w.since > seconds]:
            yield worker.overdue(seconds)
            del running[worker.pipe]


class _Worker:
    def __init__(self, context: Any, case: Case) -> None:
        self.pipe, end = context.Pipe()
        self.process = context.Process(target=_work, args=(end,), daemon=True)
        self.process.start()
        end.close()
        self.give(case)

    def give(self, case: Case) -> None:
        self.case, self.since = case, time.perf_counter()
        self.pipe.send(case)

    def result(self) -> dict[str, Any]:
        try:
            return self.pipe.recv()
        except EOFError:
            self.process.join()
            return _failed(self.case, "crashed", f"the process ended with code {self.process.exitcode}")

    def overdue(self, seconds: float) -> dict[str, Any]:
        self.stop()
        return _failed(self.case, "crashed", f"took more than {seconds:.0f} s")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def _failed(case: Case, status: str, why: str) -> dict[str, Any]:
    row = Row(case.model_type, case.model_class, case.heads)
    row.status, row.why = status, why
    return row.as_dict()


def _work(pipe: Connection) -> None:
    import torch

    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with open(os.devnull, "w") as silence:
        os.dup2(silence.fileno(), 1)
        os.dup2(silence.fileno(), 2)
        while True:
            case = pipe.recv()
            start = time.perf_counter()
            row = examine(case)
            row.seconds["all"] = round(time.perf_counter() - start, 3)
            pipe.send(row.as_dict())


def kept(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of an earlier, perhaps interrupted, run."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {(row["model_type"], row["model_class"]): row for row in rows}
