"""Derives the specs of this folder: ``python specs/make.py NAME ...`` writes ``specs/NAME.yaml``, no name writes all.

Models are built from their configs. Nothing is downloaded, and weights are never written to, so that they take no
memory: 7 billion parameters need less than a gigabyte and about 20 seconds.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import transformers as tf
from transformers.initialization import no_init_weights

import graphmerge as gm
from graphmerge.spec import save_spec

MODELS = {
    "bert-base": (tf.BertForMaskedLM, tf.BertConfig()),
    "bert-large": (
        tf.BertForMaskedLM,
        tf.BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
    ),
    "roberta-base": (
        tf.RobertaForMaskedLM,
        tf.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1),
    ),
    "distilbert-base": (tf.DistilBertForMaskedLM, tf.DistilBertConfig()),
    "gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config()),
    "gpt2-medium": (tf.GPT2LMHeadModel, tf.GPT2Config(n_embd=1024, n_layer=24, n_head=16)),
    "pythia-160m": (
        tf.GPTNeoXForCausalLM,
        tf.GPTNeoXConfig(
            vocab_size=50304,
            hidden_size=768,
            num_hidden_layers=12,
            num_attention_heads=12,
            intermediate_size=3072,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
        ),
    ),
    "bloom-560m": (tf.BloomForCausalLM, tf.BloomConfig(vocab_size=250880, hidden_size=1024, n_layer=24, n_head=16)),
    "llama-2-7b": (tf.LlamaForCausalLM, tf.LlamaConfig(max_position_embeddings=4096)),
    "llama-3-8b": (
        tf.LlamaForCausalLM,
        tf.LlamaConfig(
            vocab_size=128256,
            intermediate_size=14336,
            num_key_value_heads=8,
            max_position_embeddings=8192,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        ),
    ),
    "mistral-7b": (tf.MistralForCausalLM, tf.MistralConfig()),
    "qwen3-0.6b": (
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
    "t5-small": (tf.T5ForConditionalGeneration, tf.T5Config()),
    "vit-base": (tf.ViTForImageClassification, tf.ViTConfig(num_labels=1000)),
    "mamba-130m": (tf.MambaForCausalLM, tf.MambaConfig(vocab_size=50280, num_hidden_layers=24)),
}


def derive(name: str) -> gm.Symmetry:
    """The symmetry of one model of the list."""
    kind, config = MODELS[name]
    with no_init_weights():
        model = kind(config).eval()
    model.tie_weights()
    symmetry = gm.trace(model).symmetry()
    return replace(symmetry, pinned=tuple(replace(pin, reason=_lasting(pin.reason)) for pin in symmetry.pinned))


def _lasting(reason: str) -> str:
    """A reason without the numbers of graph nodes, which keep layers from folding, and of lines in other packages."""
    return re.sub(r"constant (\w+?)(?:_\d+)? \((\S+) \S+:\d+\)", r"constant \1 (\2)", reason)


def main() -> None:
    """Write the specs that the command line names."""
    for name in sys.argv[1:] or MODELS:
        save_spec(derive(name), Path(__file__).parent / f"{name}.yaml")


if __name__ == "__main__":
    main()
