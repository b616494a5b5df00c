"""Matching BERT-base by weights, without a GPU: a random element is planted and must come back.

python -m benchmarks.match [--layers 12]
"""

from __future__ import annotations

import argparse
import resource
import time

import torch
import transformers
from transformers import BertConfig, BertForMaskedLM

import graphmerge as gm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=12)
    layers = parser.parse_args().layers
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    a = BertForMaskedLM(BertConfig(num_hidden_layers=layers)).eval()
    start = time.perf_counter()
    symmetry = gm.trace(a).symmetry()
    derived = time.perf_counter() - start
    planted = symmetry.random(seed=1)
    b = planted.apply(a)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    start = time.perf_counter()
    found = gm.match(a, b, symmetry, method="weights", device="cpu")
    matched = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    exact = found.permutations == planted.inverse()
    print(
        f"{layers} layers, {sum(p.numel() for p in a.parameters()) / 1e6:.0f} M parameters: derived in {derived:.2f} s,"
        " "
        f"matched in {matched:.1f} s ({matched / derived:.1f} derivations), planted element recovered: {exact}; "
        f"process peak {before:.0f} MB with both models, {after:.0f} MB after matching"
    )


if __name__ == "__main__":
    main()
