"""A tenth of the coverage sweep: nothing unsound, nothing that crashes; what docs/coverage.md calls proven still is."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.coverage.catalogue import Case, catalogue
from benchmarks.coverage.examine import Row, examine
from benchmarks.coverage.report import STATUSES, report

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def said(page: str) -> dict[tuple[str, str], str]:
    """The status of every case on the page."""
    lines = page.partition("## Every case")[2].splitlines()
    cells = [[c.strip() for c in line.strip("| ").split("|")] for line in lines if line.startswith("|")]
    return {(c[0], c[1]): c[3] for c in cells if len(c) >= 4 and c[3] in STATUSES}


SAID = said(PAGE.read_text())
TENTH = [case for case in catalogue()[::10] if SAID.get((case.model_type, case.model_class)) in ("proven", "sound")]


@pytest.mark.parametrize("case", TENTH, ids=str)
def test_still(case: Case) -> None:
    row = examine(case)
    assert row.status in ("proven", "sound"), row.why
    if SAID[case.model_type, case.model_class] == "proven":
        assert row.status == "proven", (row.why, row.missed)


def test_the_page_has_most_of_the_catalogue() -> None:
    """What it names is there; other versions of transformers have other models."""
    cases = {(c.model_type, c.model_class) for c in catalogue()}
    assert len(cases & SAID.keys()) >= 0.9 * len(SAID)


def test_a_page_says_what_the_rows_say() -> None:
    good = Row("bert", "BertModel", ("base",), status="proven", groups=3, log_order=1.5, nodes=60)
    bad = Row("gpt9", "Gpt9Model", ("causal-lm",), status="sound", why="a | in the text", missed=("x[0] (pinned)",))
    page = report([row.as_dict() for row in (bad, good)], cases=3)
    assert said(page) == {("bert", "BertModel"): "proven", ("gpt9", "Gpt9Model"): "sound"}
    assert "3 cases. **1 of them were not examined yet**; rows of interrupted runs" in page
    assert "a \\| in the text; left free: x[0] (pinned)" in page
    assert "| all | 2 | 1 | 1 | 0 | 0 | 0 | 0 | 50.0 % |" in page
