"""The bound from colours beside BLISS, on the same scalar graphs.

    python -m benchmarks.count [--threads 1]

Both give the natural log of how many automorphisms there are: the bound is one from above, and is the number wherever
the last column says so. Each is timed once for each graph, one after the other in one process.
"""

from __future__ import annotations

import argparse
import time

import torch
import transformers

from graphmerge.certify import draw
from graphmerge.certify.coloured import log_order
from graphmerge.certify.refine import log_bound
from graphmerge.trace.defaults import default_inputs

SIZES = ((1, 8), (2, 16), (2, 32), (2, 48), (2, 64))  # layers, width


def models(layers: int, width: int) -> dict[str, torch.nn.Module]:
    """BERT, GPT-2 and Llama with four heads, a feed-forward twice as wide, and a vocabulary of 29."""
    common = {"vocab_size": 29, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    wide = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 2 * width}
    narrow = {"n_embd": width, "n_layer": layers, "n_head": 4, "n_inner": 2 * width, "n_positions": 16}
    eager = {"attn_implementation": "eager"}
    return {
        "BERT": transformers.BertForMaskedLM(transformers.BertConfig(**common, **wide, **eager)),
        "GPT-2": transformers.GPT2LMHeadModel(transformers.GPT2Config(**common, **narrow, **eager)),
        "Llama": transformers.LlamaForCausalLM(transformers.LlamaConfig(**common, **wide, **eager)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.count", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    print("| model | layers, width | nodes | edges | bound | BLISS | BLISS / bound | equal |")
    print("| --- " * 8 + "|")
    for layers, width in SIZES:
        for name, model in models(layers, width).items():
            inputs = default_inputs(model.eval()).resized(3)
            graph = draw(model, inputs.kwargs, ("logits",)).graph
            graph.drawn  # noqa: B018  (built before the clock starts)
            start = time.perf_counter()
            bound = log_bound(graph)
            middle = time.perf_counter()
            order = log_order(graph)
            end = time.perf_counter()
            ratio, equal = (end - middle) / (middle - start), "yes" if abs(bound - order) < 1e-6 else "no"
            size = f"{len(graph.colours):,} | {len(graph.edges):,}"
            seconds = f"{middle - start:.2f} s | {end - middle:.2f} s | {ratio:.1f}"
            print(f"| {name} | {layers}, {width} | {size} | {seconds} | {equal} |", flush=True)


if __name__ == "__main__":
    main()
