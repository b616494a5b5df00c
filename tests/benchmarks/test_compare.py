"""The table of the comparison, from given numbers, and what its runs are made of; no timing is asserted."""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import partial

import pytest

from benchmarks.compare import ROWS
from benchmarks.rows.soundness import _described
from benchmarks.rows.table import HEAD, Figure, Row, table
from benchmarks.rows.timing import Spent, alternating, child

SLOW = Figure("wall", "s", (3.0, 2.0, 5.0), (1.0, 1.0, 2.0), target=2.0)
LEAN = Figure("memory", "GB", (1.0, 1.0, 1.0), (4.0, 2.0, 4.0), target=1.0)


def test_a_line_shows_medians_and_the_spread_of_the_ratios() -> None:
    page = table([Row(4, "merging", "another", (SLOW, LEAN), ("the same numbers",))])
    head, rule, slow, lean, empty, note = page.splitlines()
    assert head == HEAD
    assert rule.count("---") == head.count("|") - 1
    assert slow == "| 4 | merging: wall | another | 3 s | 1 s | 2.5 (2 to 3) | <= 2 | **no** |"
    assert lean == "| 4 | merging: memory | another | 1 GB | 4 GB | 0.25 (0.25 to 0.5) | <= 1 | yes |"
    assert not empty
    assert note == "- Row 4: the same numbers"


def test_a_row_that_was_not_measured_says_why_and_makes_no_line() -> None:
    page = table([Row(1, "soundness", "another", skipped="it is not installed")])
    assert "| 1 |" not in page
    assert "- Row 1 (soundness) was not measured: it is not installed" in page


def test_without_a_target_nothing_is_met_or_missed() -> None:
    free = dataclasses.replace(SLOW, target=None)
    assert table([Row(2, "x", "y", (free,))]).splitlines()[2].endswith("| 2.5 (2 to 3) |  |  |")


def test_a_row_survives_json() -> None:
    row = Row(3, "groups", "another", (SLOW, dataclasses.replace(LEAN, target=None)), ("a note",))
    assert Row.of(json.loads(json.dumps(dataclasses.asdict(row)))) == row


def test_sides_of_different_length_are_no_figure() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _ = Figure("wall", "s", (1.0, 2.0), (1.0,)).ratios


def test_runs_alternate_and_the_first_do_not_count() -> None:
    order: list[str] = []

    def side(name: str) -> Spent:
        order.append(name)
        return Spent(len(order), 0.0)

    found = alternating({name: partial(side, name) for name in ("ours", "theirs")}, runs=3, warm=1)
    assert order == ["theirs", "ours", "ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert [s.wall for s in found["ours"]] == [3, 6, 7]
    assert [s.wall for s in found["theirs"]] == [4, 5, 8]


def test_a_child_reports_its_own_memory_and_its_failure() -> None:
    assert child([sys.executable, "-c", "x = bytearray(200_000_000)"]).peak > 200e6
    with pytest.raises(RuntimeError, match="no such thing"):
        child([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_tool_that_changes_the_outputs_or_does_not_end_is_said_to() -> None:
    found = {"moved": 2, "tensors": 42, "changed": 0.5}
    assert _described(found, 30) == "moves 2 of 42 tensors, outputs change by 0.5 of the largest (unsound)"
    assert _described(found | {"changed": 1e-7}, 30).endswith("(sound)")
    assert _described(None, 30) == "did not end in 30 s"


def test_rows_are_numbered_as_they_are_shown() -> None:
    assert list(ROWS) == sorted(ROWS)
