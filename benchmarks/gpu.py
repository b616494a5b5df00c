"""The same work on the CPU and on a GPU: are the answers the same, and how long does each take.

    python -m benchmarks.gpu [--device cuda] [--batches 12]

The packaged pair of GPT-2s and a BERT of the shape of BERT-base with random weights: moments of activations, matching
by weights and by activations, a refined match, permuted weights, a barrier. Exits 1 if anything differs by more than
rounding: permutations must be equal where weights or planted activations decide, losses within 1e-3.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM

import graphmerge as gm
from graphmerge.checkpoint import load_model
from graphmerge.demo import data as demo
from graphmerge.device import resolve_device
from graphmerge.stats import collect

TOLERANCE = 1e-3  # relative: the GPU may add in another order, and in TF32
Work = Callable[[str], Any]
Check = Callable[[Any, Any], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, default=12)
    options = parser.parse_args()
    device = str(resolve_device(options.device))
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    print(f"torch {torch.__version__}, {name} beside the CPU on {torch.get_num_threads()} threads\n")
    print("| what | differs by | CPU | device |\n| --- | --- | --- | --- |")
    good = True
    for what, work, differs in works(options.batches):
        (on_cpu, first), (on_device, second) = timed(work, "cpu"), timed(work, device)
        found = differs(on_cpu, on_device)
        good &= found <= TOLERANCE
        print(f"| {what} | {found:.1e} | {first:.2f} s | {second:.2f} s |", flush=True)
    print("\nall the same" if good else "\nNOT THE SAME")
    sys.exit(not good)


def timed(work: Work, device: str) -> tuple[Any, float]:
    """What the work gives, and its seconds, the device waited for."""
    start = time.perf_counter()
    found = work(device)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return found, time.perf_counter() - start


def works(batches: int) -> Iterator[tuple[str, Work, Check]]:
    """What is done, how, and how far two results lie apart."""
    a, b = (load_model(demo.folder("gpt2", seed)).model for seed in (1, 2))
    data = list(demo.batches("gpt2", "calibration", batches))
    symmetry = gm.trace(a).symmetry()
    yield "moments, GPT-2 pair", lambda d: collect(a, b, symmetry, data, device=d), moments_differ
    for method in ("weights", "activations"):
        yield (
            f"match by {method}, a planted element of GPT-2",
            lambda d, m=method: recovered(a, symmetry, m, data, d),
            lambda x, y: float(not (x and y)),
        )
    yield (
        "barrier, GPT-2 pair",
        lambda d: gm.barrier(a, b, data[:4], symmetry.random(seed=1), points=5, device=d),
        lambda x, y: max(abs(p - q) / p for p, q in zip(x.losses, y.losses)),
    )
    yield (
        "refined match never for the worse, GPT-2 pair",
        lambda d: gm.match(a, b, symmetry, "activations", data, device=d).barriers,
        lambda x, y: max(0.0, min(y) - y[0]),
    )
    torch.manual_seed(0)
    large = BertForMaskedLM(BertConfig()).eval()
    groups = gm.trace(large).symmetry()
    yield (
        "match by weights, a planted element of BERT-base",
        lambda d: recovered(large, groups, "weights", None, d),
        lambda x, y: float(not (x and y)),
    )


def recovered(model: nn.Module, symmetry: gm.Symmetry, method: Any, data: Any, device: str) -> bool:
    """Does a match find what was planted?"""
    p = symmetry.random(seed=3)
    return (
        gm.match(model, p.apply(model), symmetry, method, data, groups="*", device=device).permutations == p.inverse()
    )


def moments_differ(x: Any, y: Any) -> float:
    """The largest difference of correlations."""
    pairs = zip(x.taps, y.taps, strict=True)
    return max(float((s.moments.correlation().cpu() - t.moments.correlation().cpu()).abs().max()) for s, t in pairs)


if __name__ == "__main__":
    main()
