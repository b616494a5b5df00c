"""The specs in the top-level folder: they load, fit their models, and count what theory says."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch

from graphmerge.spec import check_spec, load_spec, spec_text

FOLDER = Path(__file__).parents[2] / "specs"
SHIPPED = sorted(FOLDER.glob("*.yaml"))


def make():
    """The module that derives them."""
    found = importlib.util.spec_from_file_location("make_specs", FOLDER / "make.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def log_factorial(size: int) -> float:
    return math.lgamma(size + 1)


def decoder(width: int, layers: int, ffn: int, heads: int, per_head: int, free: int = 2, shared: int = 1) -> float:
    """Log-order by hand: the residual; per layer the feed-forward, the heads, and ``free`` groups inside each head.

    ``shared`` query heads read the same keys and values and may be permuted among themselves.
    """
    inside = free * heads * log_factorial(per_head) + heads * log_factorial(shared)
    return log_factorial(width) + layers * (log_factorial(ffn) + log_factorial(heads) + inside)


KNOWN = {
    "bert-base": decoder(768, 12, 3072, 12, 64),
    "bert-large": decoder(1024, 24, 4096, 16, 64),
    "roberta-base": decoder(768, 12, 3072, 12, 64),
    "distilbert-base": decoder(768, 6, 3072, 12, 64),
    "gpt2": decoder(768, 12, 3072, 12, 64),
    "gpt2-medium": decoder(1024, 24, 4096, 16, 64),
    # the queries and keys that rotary leaves alone: 48 of 64
    "pythia-160m": decoder(768, 12, 3072, 12, 64, free=1) + 12 * 12 * log_factorial(48),
    # ALiBi holds the heads
    "bloom-560m": decoder(1024, 24, 4096, 16, 64) - 24 * log_factorial(16),
    "llama-2-7b": decoder(4096, 32, 11008, 32, 128, free=1),
    "llama-3-8b": decoder(4096, 32, 14336, 8, 128, free=1, shared=4),
    "mistral-7b": decoder(4096, 32, 14336, 8, 128, free=1, shared=4),
    "qwen3-0.6b": decoder(1024, 28, 3072, 8, 128, free=1, shared=2),
    # one residual; encoder and decoder each share their heads by the position bias, cross-attention does not
    "t5-small": log_factorial(512)
    + (2 + 6) * log_factorial(8)
    + 12 * log_factorial(2048)
    + (6 + 6 + 6) * 2 * 8 * log_factorial(64),
    "vit-base": decoder(768, 12, 3072, 12, 64),
    "mamba-130m": log_factorial(768) + 24 * (log_factorial(1536) + log_factorial(48) + log_factorial(16)),
}


def test_every_model_of_the_list_is_shipped_and_known():
    assert {path.stem for path in SHIPPED} == set(KNOWN) == set(make().MODELS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_loads_and_counts_what_theory_says(path):
    symmetry = load_spec(path)
    assert symmetry.log_order() == pytest.approx(KNOWN[path.stem], rel=1e-12)
    assert spec_text(symmetry) == path.read_text()
    row = f"| `{path.stem}` | {symmetry.model} | {len(symmetry.groups)} | {symmetry.log_order():,.0f} |"
    assert row in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("name", ["bert-base", "gpt2", "llama-3-8b", "t5-small"])
def test_it_fits_its_model(name):
    kind, config = make().MODELS[name]
    with torch.device("meta"):
        state = kind(config).state_dict()
    assert check_spec(load_spec(FOLDER / f"{name}.yaml"), state).layout


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_deriving_it_again_gives_the_same(path):
    assert make().derive(path.stem) == load_spec(path)
