"""BERT-base, model object to groups, beside Torch-Pruning's dependency graph for the same object, in one process.

    pip install 'graphmerge[bench]'
    python -m benchmarks.rival [--runs 15] [--length 11] [--threads 1]

Each run times both, one after the other, the order changing from run to run; the ratio is taken run by run.
Torch-Pruning runs the model on ``--length`` tokens, so a longer input costs it more; graphmerge traces two lengths of
its own, without weights. Torch-Pruning's time is building the graph and listing all groups. ``cpu`` is the time that
the process itself worked, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch_pruning
import transformers
from transformers import BertConfig, BertForMaskedLM

import graphmerge as gm


def ours(model: torch.nn.Module) -> int:
    """Number of groups."""
    return len(gm.trace(model).symmetry().groups)


def theirs(model: torch.nn.Module, length: int) -> int:
    """Number of groups; of the axes of matrices only, and without heads."""
    ids = torch.arange(length)[None]
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs={"input_ids": ids})
    return len(list(graph.get_all_groups()))


def timed(call: Callable[[], int]) -> tuple[float, float, int]:
    """Wall seconds, processor seconds, groups; what others left to be collected is collected before."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    groups = call()
    return time.perf_counter() - wall, time.process_time() - cpu, groups


def summary(spent: dict[str, list[float]]) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(spent["ours"], spent["theirs"])]
    return {
        **spent,
        "ours_min": min(spent["ours"]),
        "ours_median": statistics.median(spent["ours"]),
        "theirs_min": min(spent["theirs"]),
        "theirs_median": statistics.median(spent["theirs"]),
        "ratio_of_minima": min(spent["ours"]) / min(spent["theirs"]),
        "ratio_median": statistics.median(ratios),
    }


def compare(runs: int, length: int) -> dict[str, Any]:
    """Seconds of each, and the ratios; both have run twice before anything counts."""
    model = BertForMaskedLM(BertConfig()).eval()
    calls = {"ours": lambda: ours(model), "theirs": lambda: theirs(model, length)}
    wall: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    groups: dict[str, int] = {}
    for run in range(-2, runs):
        for name in sorted(calls, reverse=bool(run % 2)):
            spent, worked, groups[name] = timed(calls[name])
            if run >= 0:
                wall[name].append(spent)
                cpu[name].append(worked)
    return {"length": length, "threads": torch.get_num_threads(), "runs": runs, "groups": groups} | {
        "wall": summary(wall),
        "cpu": summary(cpu),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--length", type=int, default=11, help="tokens of Torch-Pruning's example input")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    found = compare(options.runs, options.length)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"BERT-base, {options.threads} thread(s), {options.runs} alternating runs, {options.length} tokens:")
    print(f"  groups: {found['groups']['ours']} and {found['groups']['theirs']}")
    for clock in ("wall", "cpu"):
        row = found[clock]
        print(
            f"  {clock:4} graphmerge {row['ours_min']:.3f} s at best, {row['ours_median']:.3f} s median; Torch-Pruning "
            f"{row['theirs_min']:.3f} s, {row['theirs_median']:.3f} s; ratio {row['ratio_of_minima']:.2f} of the "
            f"minima, {row['ratio_median']:.2f} median of the pairs"
        )


if __name__ == "__main__":
    main()
