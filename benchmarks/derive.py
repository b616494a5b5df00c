"""How long deriving the groups of a large model takes, without its weights, beside one bare trace of it.

python -m benchmarks.derive [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable

import torch
import transformers
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import graphmerge as gm
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.sizes import trace_once

MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "BERT-base": lambda: BertForMaskedLM(BertConfig()),
    "GPT-2": lambda: GPT2LMHeadModel(GPT2Config()),
    "Llama, 8B shape": lambda: LlamaForCausalLM(
        LlamaConfig(
            hidden_size=4096,
            intermediate_size=14336,
            num_attention_heads=32,
            num_key_value_heads=8,
            num_hidden_layers=32,
            vocab_size=128256,
        )
    ),
}


def measure(make: Callable[[], torch.nn.Module]) -> dict[str, float]:
    """Seconds of one trace and of the whole derivation, their ratio, and the groups found."""
    with torch.device("meta"):
        model = make()
    trace_once(model, default_inputs(model))  # imports and caches
    start = time.perf_counter()
    trace_once(model, default_inputs(model))
    bare = time.perf_counter() - start
    start = time.perf_counter()
    symmetry = gm.trace(model).symmetry()
    whole = time.perf_counter() - start
    return {
        "trace_seconds": bare,
        "derive_seconds": whole,
        "derive_over_trace": whole / bare,
        "groups": len(symmetry.groups),
        "log_order": symmetry.log_order(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    transformers.logging.set_verbosity_error()
    rows = {name: measure(make) for name, make in MODELS.items()}
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for name, row in rows.items():
        print(
            f"{name:16} one trace {row['trace_seconds']:.2f} s, derivation {row['derive_seconds']:.2f} s "
            f"({row['derive_over_trace']:.1f} traces), {row['groups']} groups, ln|G| {row['log_order']:.1f}, "
            f"process peak {row['peak_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
