"""Barriers of trained pairs: vanilla, and after matching by each method.

    python -m benchmarks.pairs DIRECTORY

The directory holds ``checkpoints/ARCH-mini-seed{1,2}`` and ``data/{calibration,validation}.npy`` (uint16 token ids)
and ``data/tokenizer``. The protocol: 24 calibration and 8 validation batches of 32 windows of 64 tokens drawn with
seed 0, 11 points.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import transformers

import graphmerge as gm
from graphmerge.checkpoint import load_model
from graphmerge.data import Sampling, load_data

PAIRS = ("gpt2", "bert")
POINTS = 11


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    root = parser.parse_args().directory
    transformers.logging.set_verbosity_error()
    for name in PAIRS:
        a, b = (load_model(root / "checkpoints" / f"{name}-mini-seed{seed}") for seed in (1, 2))
        tokenizer = root / "data" / "tokenizer"
        calibration = load_data(root / "data" / "calibration.npy", a, Sampling(count=24, tokenizer=tokenizer))
        validation = load_data(root / "data" / "validation.npy", a, Sampling(count=8, tokenizer=tokenizer))
        symmetry = gm.trace(a.model).symmetry()
        vanilla = gm.barrier(a.model, b.model, validation, points=POINTS)
        print(f"{name}: vanilla barrier {vanilla.barrier:.3f} ({vanilla.seconds:.0f} s)")
        for method in ("weights", "activations"):
            for groups in (None, "*", "ffn,heads"):
                start = time.perf_counter()
                found = gm.match(a.model, b.model, symmetry, method=method, data=calibration, groups=groups)
                seconds = time.perf_counter() - start
                curve = gm.barrier(a.model, b.model, validation, found.permutations, points=POINTS, vanilla=False)
                removed = 1 - curve.barrier / vanilla.barrier
                label = "default" if groups is None else groups
                spread = np.ptp(curve.losses)
                print(
                    f"  {method:12} {label:10} barrier {curve.barrier:.3f} ({removed:.0%} removed), loss varies by "
                    f"{spread:.3f}, matched in {seconds:.1f} s"
                )


if __name__ == "__main__":
    main()
