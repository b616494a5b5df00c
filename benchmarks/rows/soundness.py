"""Rows beside rebasin: whether the outputs survive, and how long the matching of a pair takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.rows import peers
from benchmarks.rows.table import Figure, Row
from benchmarks.rows.timing import Spent, alternating

MODELS = ("BERT", "GPT-2", "Llama", "ViT")
LIMIT = 30  # seconds for one pair
SOUND = 1e-4  # a change of the outputs, beside the largest, that is rounding


def soundness(limit: float = LIMIT) -> Row:
    """Small models, moved by each tool: how many tensors, and what becomes of the outputs."""
    what = "soundness on small models"
    theirs = peers.program("python")
    said = []
    for name in MODELS:
        ours = _described(_aligned(sys.executable, "graphmerge", name, limit), limit)
        other = "not measured" if theirs is None else _described(_aligned(theirs, "rebasin", name, limit), limit)
        said.append(f"{name}: graphmerge {ours}; rebasin {other}")
    return Row(1, what, peers.version("rebasin"), notes=tuple(said), skipped=peers.MISSING if theirs is None else "")


def pairs(runs: int, name: str = "MLP") -> Row:
    """A pair that rebasin can do: from the module objects to B permuted, and what the objective is then."""
    what, theirs = f"weight matching, {name} of five layers, 512 wide", peers.program("python")
    if theirs is None:
        return Row(2, what, "rebasin", skipped=peers.MISSING)
    ended: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}

    def side(who: str, python: str, tool: str) -> Spent:
        found = _aligned(python, tool, name, limit=300)
        if found is None:
            raise RuntimeError(f"{tool} did not align the {name} pair")
        ended[who].append(found)
        return Spent(found["wall"], found["cpu"])

    calls = {
        "ours": lambda: side("ours", sys.executable, "graphmerge"),
        "theirs": lambda: side("theirs", theirs, "rebasin"),
    }
    found = alternating(calls, runs, warm=0)
    if len({round(one["before"], 3) for one in [*ended["ours"], *ended["theirs"]]}) > 1:
        raise RuntimeError("the two tools were given different pairs")
    figures = tuple(
        Figure(clock, "s", *(tuple(getattr(s, clock) for s in found[who]) for who in ("ours", "theirs")), target=0.1)
        for clock in ("wall", "cpu")
    )
    ours, other = (ended[who][-1]["after"] for who in ("ours", "theirs"))
    start = ended["ours"][0]["before"]
    note = f"the objective, {start:.0f} at first, is {ours:.0f} here and {other:.0f} there (more is better)"
    return Row(2, what, peers.version("rebasin"), figures, (note,))


def _aligned(python: str, tool: str, name: str, limit: float) -> dict[str, Any] | None:
    """What `aligned` prints; None if it does not end in time."""
    command = [python, "-W", "ignore", "-m", "benchmarks.rows.aligned", tool, name]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{tool} on {name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _described(found: dict[str, Any] | None, limit: float) -> str:
    """
    >>> _described({"moved": 2, "tensors": 42, "changed": 0.5}, 30)
    'moves 2 of 42 tensors, outputs change by 0.5 of the largest (unsound)'
    """
    if found is None:
        return f"did not end in {limit:g} s"
    verdict = "sound" if found["changed"] <= SOUND else "unsound"
    moved = f"moves {found['moved']} of {found['tensors']} tensors"
    return f"{moved}, outputs change by {found['changed']:.2g} of the largest ({verdict})"
