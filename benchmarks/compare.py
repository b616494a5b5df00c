"""graphmerge beside other tools and beside the bare work that its steps cannot do without, as one table.

    make peers                                    # the other tools, once, in .venv-peers
    python -m benchmarks.compare [--rows 5,6] [--runs 3] [--tokens 20000] [--out FILE.json]

Every row runs in a process of its own, on one thread. Its two sides run one after the other, ``--runs`` times, the
order turned round each time; the ratio is taken run by run, and its median and spread are shown. ``cpu`` is the time
that the process itself worked, which a busy machine changes less than ``wall``. Rows whose tools are not installed are
skipped, and say so.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks.rows.table import Row, table

ROWS = {
    1: "soundness",
    2: "weight matching",
    3: "groups",
    4: "merging",
    5: "statistics",
    6: "barrier",
    7: "assignments",
}


def inside(number: int, runs: int, tokens: int) -> Row:
    """A row, measured in this process."""
    import torch
    import transformers

    from benchmarks.rows import alone, beside, soundness

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    match number:
        case 1:
            return soundness.soundness()
        case 2:
            return soundness.pairs(runs)
        case 3:
            return beside.groups(runs)
        case 4:
            return beside.merging(runs)
        case 5:
            return alone.statistics(runs, tokens)
        case 6:
            return alone.line(runs)
        case _:
            return alone.assignments(runs)


def apart(number: int, runs: int, tokens: int) -> Row:
    """The same in a fresh process; a row that fails says so."""
    command = [sys.executable, "-m", "benchmarks.compare", "--inside", str(number), "--runs", str(runs)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--tokens", str(tokens)], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        why = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")
        return Row(number, ROWS[number], "", skipped=f"it failed ({why})")
    return Row.of(json.loads(done.stdout.splitlines()[-1]))


def machine() -> str:
    """The machine, its load and the versions, as a sentence."""
    names = ("torch", "transformers", "scipy", "numpy")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, one thread; "
        f"Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)), help="their numbers, with commas")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=20_000, help="of the statistics")
    parser.add_argument("--out", type=Path, help="the rows, as JSON")
    parser.add_argument("--inside", type=int, choices=list(ROWS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(dataclasses.asdict(inside(options.inside, options.runs, options.tokens))))
        return
    rows = []
    print(f"before: {machine()}", flush=True)
    for number in map(int, options.rows.split(",")):
        rows.append(apart(number, options.runs, options.tokens))
        print(f"\nload {os.getloadavg()[0]:.1f} after row {number}\n{table(rows[-1:])}", file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")
    print(f"after: {machine()}\n\n{table(rows)}", end="")


if __name__ == "__main__":
    main()
