"""BERT-base, model object to groups, beside Torch-Pruning's dependency graph for the same object, in one process.

    pip install 'graphmerge[bench]'
    python -m benchmarks.rival [--runs 15] [--length 11] [--threads 1]

Each run times both, one after the other, the order changing from run to run; the ratio is taken run by run. Torch-Pruning
traces a real forward and backward graph of ``--length`` tokens, so a longer input costs it more; graphmerge traces two
lengths of its own, without weights. Torch-Pruning's time is building the graph and listing all groups.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

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


def timed(call: Callable[[], int]) -> tuple[float, int]:
    start = time.perf_counter()
    groups = call()
    return time.perf_counter() - start, groups


def compare(runs: int, length: int) -> dict[str, float]:
    """Seconds of each, and the ratios; both have run twice before anything counts."""
    model = BertForMaskedLM(BertConfig()).eval()
    calls = {"ours": lambda: ours(model), "theirs": lambda: theirs(model, length)}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    groups: dict[str, int] = {}
    for run in range(-2, runs):
        for name in sorted(calls, reverse=bool(run % 2)):
            spent, groups[name] = timed(calls[name])
            if run >= 0:
                seconds[name].append(spent)
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["theirs"])]
    return {
        "length": length,
        "threads": torch.get_num_threads(),
        "runs": runs,
        "ours_min": min(seconds["ours"]),
        "ours_median": statistics.median(seconds["ours"]),
        "theirs_min": min(seconds["theirs"]),
        "theirs_median": statistics.median(seconds["theirs"]),
        "ratio_of_minima": min(seconds["ours"]) / min(seconds["theirs"]),
        "ratio_median": statistics.median(ratios),
        "our_groups": groups["ours"],
        "their_groups": groups["theirs"],
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
    print(
        f"BERT-base, {options.threads} thread(s), {options.runs} alternating runs: graphmerge {found['ours_min']:.3f} s "
        f"at best, {found['ours_median']:.3f} s median, {found['our_groups']} groups; Torch-Pruning {options.length} tokens "
        f"{found['theirs_min']:.3f} s, {found['theirs_median']:.3f} s, {found['their_groups']} groups; ratio "
        f"{found['ratio_of_minima']:.2f} of minima, {found['ratio_median']:.2f} median of pairs"
    )


if __name__ == "__main__":
    main()
