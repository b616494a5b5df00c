from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.coverage import run
from benchmarks.coverage.catalogue import Case, catalogue
from benchmarks.coverage.report import report

RESULTS = Path(__file__).parent / "results.jsonl"
PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def one_of_each_first(cases: Sequence[Case]) -> list[Case]:
    """The first case of every model type, then the second of every one that has it, and so on."""
    met: Counter[str] = Counter()
    turns = []
    for case in cases:
        turns.append((met[case.model_type], case))
        met[case.model_type] += 1
    return [case for _, case in sorted(turns)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=run.__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="model types, separated by commas")
    parser.add_argument("--tenth", action="store_true", help="every tenth case")
    parser.add_argument("--status", default="", help="again, those that had one of these statuses")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--report", action="store_true", help="only write docs/coverage.md from what is known")
    given = parser.parse_args()
    done = {} if given.fresh else run.kept(given.results)
    cases = catalogue()
    if given.report:
        PAGE.write_text(report(list(done.values()), len(catalogue())))
        return
    if given.only:
        cases = [c for c in cases if c.model_type in given.only.split(",")]
    if given.tenth:
        cases = cases[::10]
    again = set(given.status.split(",")) if given.status else set()
    if given.status:
        cases = [c for c in cases if done.get((c.model_type, c.model_class), {}).get("status") in again]
    elif not given.only:
        cases = [c for c in cases if (c.model_type, c.model_class) not in done]
    cases = one_of_each_first(cases)
    start, totals = time.perf_counter(), Counter()
    for number, row in enumerate(run.sweep(cases, given.jobs), start=1):
        done[row["model_type"], row["model_class"]] = row
        totals[row["status"]] += 1
        seconds = row["seconds"].get("all", 0.0)
        name = f"{row['model_type']} {row['model_class']}"
        print(f"{number}/{len(cases)} {name}: {row['status']} {seconds:.1f} s {row['why'][:150]}", flush=True)
        if number % 10 == 0 or number == len(cases):
            given.results.write_text("".join(json.dumps(done[key]) + "\n" for key in sorted(done)))
    if not given.only and not given.tenth:
        PAGE.write_text(report(list(done.values()), len(catalogue())))
    print(f"{dict(totals)} in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
