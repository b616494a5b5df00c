"""Running an op harms nobody."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
import torch

from graphmerge.rules import infer
from graphmerge.rules.probe import isolate
from graphmerge.rules.probe.isolate import Crashed, Hung, isolated
from graphmerge.trace.program import Node, Ref
from tests.rules.opaque import opaque

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs in the process itself")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def crashing_elsewhere(x: torch.Tensor) -> torch.Tensor:
    """As a kernel that was written for one size."""
    if tuple(x.shape) != (3, 4):
        crash()
    return x * 2


def crashing(x: torch.Tensor) -> torch.Tensor:
    crash()
    return x


def called(name: str) -> Node:
    return Node("out", name, (Ref("x", (3, 4)),), {}, (Ref("out", (3, 4)),))


def test_results_come_back_and_nothing_else_changes() -> None:
    seen = []
    assert isolated(lambda: seen.append(1) or {"a": 3}) == {"a": 3}
    assert seen == []


def test_a_long_answer() -> None:
    assert isolated(lambda: "x" * 10**6) == "x" * 10**6


def test_a_crash_and_a_hang() -> None:
    with pytest.raises(Crashed, match=r"it crashed \(SIGSEGV\)"):
        isolated(crash)
    started = time.monotonic()
    with pytest.raises(Hung, match="it takes too long"):
        isolated(lambda: time.sleep(60), seconds=0.2)
    assert time.monotonic() - started < 10


def test_without_copies_it_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "COPIES", False)
    seen = []
    isolated(lambda: seen.append(1))
    assert seen == [1]


def test_an_op_that_crashes_at_other_sizes_is_probed_at_its_own() -> None:
    derived = infer(called(opaque("crashing_elsewhere", "(Tensor x) -> Tensor", crashing_elsewhere)), {}, "")
    assert [str(q) for q in derived.equations] == ["x0 x1 -> x0 x1"]


def test_an_op_that_crashes_is_pinned() -> None:
    derived = infer(called(opaque("crashing", "(Tensor x) -> Tensor", crashing)), {}, "unknown op")
    assert derived.unknown == "unknown op, and running it does not tell: it crashed (SIGSEGV)"
