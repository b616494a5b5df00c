"""Files that earlier versions wrote, for checkpoints as they are published: they load, count what theory says, mean the
same when they are written anew, and mean what the packaged spec of their family says at that size."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import transformers as tf
from transformers.initialization import no_init_weights

import graphmerge as gm
from graphmerge.spec import load_spec, spec_text
from graphmerge.spec.read import parse_spec

FILES = sorted((Path(__file__).parent / "written_before").glob("*.yaml"))


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
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
CONFIGS = {
    "bert-base": lambda: (tf.BertForMaskedLM, tf.BertConfig()),
    "roberta-base": lambda: (
        tf.RobertaForMaskedLM,
        tf.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1),
    ),
    "distilbert-base": lambda: (tf.DistilBertForMaskedLM, tf.DistilBertConfig()),
    "gpt2": lambda: (tf.GPT2LMHeadModel, tf.GPT2Config()),
    "pythia-160m": lambda: (
        tf.GPTNeoXForCausalLM,
        tf.GPTNeoXConfig(
            vocab_size=50304,
            hidden_size=768,
            num_hidden_layers=12,
            num_attention_heads=12,
            intermediate_size=3072,
            rope_parameters=ROPE | {"partial_rotary_factor": 0.25},
        ),
    ),
    "qwen3-0.6b": lambda: (
        tf.Qwen3ForCausalLM,
        tf.Qwen3Config(
            vocab_size=151936,
            hidden_size=1024,
            intermediate_size=3072,
            num_hidden_layers=28,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=128,
            tie_word_embeddings=True,
        ),
    ),
    "t5-small": lambda: (tf.T5ForConditionalGeneration, tf.T5Config()),
    "vit-base": lambda: (tf.ViTForImageClassification, tf.ViTConfig(num_labels=1000)),
    "mamba-130m": lambda: (tf.MambaForCausalLM, tf.MambaConfig(vocab_size=50280, num_hidden_layers=24)),
}


def test_every_file_is_known():
    assert {path.stem for path in FILES} == set(KNOWN)
    assert set(CONFIGS) <= set(KNOWN)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_counts_what_theory_says_and_comes_back(path):
    symmetry = load_spec(path)
    assert symmetry.log_order() == pytest.approx(KNOWN[path.stem], rel=1e-12)
    text = spec_text(symmetry)
    assert len(text.splitlines()) <= len(path.read_text().splitlines())
    assert parse_spec(text) == symmetry
    assert list(parse_spec(text).layout) == list(symmetry.layout)
    assert spec_text(parse_spec(text)) == text


@pytest.mark.parametrize("name", CONFIGS)
def test_the_packaged_spec_means_the_same_at_this_size(name):
    """No weights are written to, so that they take no memory."""
    model_class, config = CONFIGS[name]()
    with no_init_weights():
        model = model_class(config).eval()
    model.tie_weights()
    path = next(path for path in FILES if path.stem == name)
    found = gm.compare(gm.load_spec("packaged", model), gm.load_spec(path, model))
    assert found.equal, str(found)
    assert found.log_order == pytest.approx(KNOWN[name], rel=1e-12)
