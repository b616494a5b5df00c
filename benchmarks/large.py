"""Deriving the groups of large models from their configs alone: seconds and memory, each model in a process of its own.

    python -m benchmarks.large [--only llama-70b] [--layers 8,16,32,64,80] [--json]

The model is built on the meta device; nothing is downloaded and no weight exists. Each process is bound to one core
and one thread. ``wall`` is what it took, ``cpu`` what the core worked for it (the two differ on a busy machine); both
are from the model object to the groups, with the imports before. ``peak`` is the most that the process ever held.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

# shape -> model class, config class, options, layers; sizes are those of the published configs
SHAPES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "llama-70b": (
        "LlamaForCausalLM",
        "LlamaConfig",
        {
            "hidden_size": 8192,
            "intermediate_size": 28672,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
        },
        80,
    ),
    "mixtral-8x22b": (
        "MixtralForCausalLM",
        "MixtralConfig",
        {
            "hidden_size": 6144,
            "intermediate_size": 16384,
            "num_attention_heads": 48,
            "num_key_value_heads": 8,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
            "vocab_size": 32768,
        },
        56,
    ),
    "qwen3-235b-a22b": (
        "Qwen3MoeForCausalLM",
        "Qwen3MoeConfig",
        {
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "moe_intermediate_size": 1536,
            "num_attention_heads": 64,
            "num_key_value_heads": 4,
            "head_dim": 128,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "norm_topk_prob": True,
            "vocab_size": 151936,
        },
        94,
    ),
    "bert-large": (
        "BertForMaskedLM",
        "BertConfig",
        {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16},
        24,
    ),
}


def measure(shape: str, layers: int) -> dict[str, Any]:
    """In this process: one derivation, on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import torch
    import transformers

    import graphmerge as gm

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    model_class, config_class, options, _ = SHAPES[shape]
    with torch.device("meta"):
        config = getattr(transformers, config_class)(num_hidden_layers=layers, **options)
        model = getattr(transformers, model_class)(config)
    wall, cpu = time.perf_counter(), time.process_time()
    symmetry = gm.trace(model).symmetry()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "shape": shape,
        "layers": layers,
        "parameters_billion": sum(p.numel() for p in model.parameters()) / 1e9,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "groups": len(symmetry.groups),
        "log_order": symmetry.log_order(),
    }


def apart(shape: str, layers: int) -> dict[str, Any]:
    """The same in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.large", "--inside", shape, "--layers", str(layers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(SHAPES), help="one shape")
    parser.add_argument("--layers", default="", help="numbers of layers, with commas; the published one if not given")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", choices=list(SHAPES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = [int(n) for n in options.layers.split(",") if n]
    if options.inside:
        print(json.dumps(measure(options.inside, counts[0])))
        return
    rows = []
    for shape in [options.only] if options.only else list(SHAPES):
        for layers in counts or [SHAPES[shape][3]]:
            row = apart(shape, layers)
            rows.append(row)
            if not options.json:
                print(
                    f"{shape:16} {layers:3} layers, {row['parameters_billion']:6.1f} B parameters: "
                    f"{row['wall_seconds']:5.1f} s wall, {row['cpu_seconds']:5.1f} s cpu "
                    f"({1000 * row['cpu_seconds'] / layers:3.0f} ms a layer), peak {row['peak_gb']:.2f} GB, "
                    f"{row['groups']} groups, ln|G| {row['log_order']:.0f}",
                    flush=True,
                )
    if options.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
