"""Aligning one pair of small models with one tool, in a process of its own; needs torch and transformers only.

    python -m benchmarks.rows.aligned TOOL MODEL

Prints JSON: seconds, the objective ``Σ over parameters of ⟨A, B⟩`` before and after, the largest change of B's outputs
beside their largest number, and how many of B's tensors changed. The tool has aligned a copy of the pair before
anything counts.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import nn

SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SIZES | {"vocab_size": 101, "max_position_embeddings": 40}
IDS = torch.arange(7)[None]
SPREAD = 0.1  # of every parameter, so that no norm is the identity and no bias 0


def _perceptron() -> nn.Module:
    wide = [module for _ in range(3) for module in (nn.Linear(512, 512), nn.ReLU())]
    return nn.Sequential(nn.Linear(64, 512), nn.ReLU(), *wide, nn.Linear(512, 10))


# name -> the model, an input
MODELS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "MLP": (_perceptron, torch.linspace(-1, 1, 4 * 64).reshape(4, 64)),
    "BERT": (lambda: transformers.BertForMaskedLM(transformers.BertConfig(**TEXT)), IDS),
    "GPT-2": (
        lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=101, n_positions=40)
        ),
        IDS,
    ),
    "Llama": (lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**TEXT)), IDS),
    "ViT": (
        lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES, image_size=16, patch_size=4)),
        torch.linspace(-1, 1, 2 * 3 * 256).reshape(2, 3, 16, 16),
    ),
}


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """Two models with weights of their own, the same in every process."""
    models = []
    for seed in (1, 2):
        torch.manual_seed(0)
        model = MODELS[name][0]().eval()
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.empty_like(parameter).normal_(std=SPREAD, generator=draw))
        models.append(model)
    return models[0], models[1]


def by_graphmerge(a: nn.Module, b: nn.Module, example: torch.Tensor) -> nn.Module:
    """B, permuted onto A: from the module objects on, tracing included."""
    import graphmerge as gm

    symmetry = gm.trace(a, None if isinstance(a, transformers.PreTrainedModel) else (example,)).symmetry()
    return gm.match(a, b, symmetry, method="weights", device="cpu").permutations.apply(b)


def by_rebasin(a: nn.Module, b: nn.Module, example: torch.Tensor) -> nn.Module:
    """The same, by rebasin, which changes B itself."""
    import rebasin

    rebasin.PermutationCoordinateDescent(a, b, example).rebasin()
    return b


TOOLS = {"graphmerge": by_graphmerge, "rebasin": by_rebasin}


def aligned(tool: str, name: str) -> dict[str, Any]:
    """What the module's text says."""
    torch.manual_seed(0)  # rebasin goes through its permutations in random order
    a, b = pair(name)
    example = MODELS[name][1]
    before, state = _output(b, example), {key: t.clone() for key, t in b.state_dict().items()}
    TOOLS[tool](copy.deepcopy(a), copy.deepcopy(b), example)
    wall, cpu, at_first = time.perf_counter(), time.process_time(), _objective(a, b)
    moved = TOOLS[tool](a, b, example)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall": wall,
        "cpu": cpu,
        "before": at_first,
        "after": _objective(a, moved),
        "changed": float((_output(moved, example) - before).abs().max() / before.abs().max()),
        "moved": sum(not torch.equal(t, state[key]) for key, t in moved.state_dict().items()),
        "tensors": len(state),
    }


def _output(model: nn.Module, example: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        out = model(example)
    return out if isinstance(out, torch.Tensor) else out.logits


def _objective(a: nn.Module, b: nn.Module) -> float:
    with torch.no_grad():
        return sum(float((x.double() * y.double()).sum()) for x, y in zip(a.parameters(), b.parameters(), strict=True))


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print(json.dumps(aligned(*sys.argv[1:])))
