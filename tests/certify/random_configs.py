"""Tiny transformers of ten architectures with sizes drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
import transformers

Sizes = random.Random
Drawn = tuple[type[transformers.PreTrainedModel], transformers.PretrainedConfig]


def _config(kind: Callable[..., transformers.PretrainedConfig], **settings: Any) -> transformers.PretrainedConfig:
    """A config; which settings it takes is known when it is made."""
    return kind(**settings)


def _heads(rng: Sizes, even: bool = False) -> tuple[int, int]:
    """Heads and the size of one: small enough to be counted, 1 and collisions included."""
    return rng.choice((1, 2, 3)), rng.choice((2, 4) if even else (1, 2, 3))


def _bert(rng: Sizes) -> Drawn:
    heads, dim = _heads(rng)
    task = rng.choice((transformers.BertForMaskedLM, transformers.BertForSequenceClassification))
    return task, _config(
        transformers.BertConfig,
        vocab_size=rng.randint(3, 5),
        hidden_size=heads * dim,
        num_hidden_layers=rng.choice((2, 3)),
        num_attention_heads=heads,
        intermediate_size=rng.randint(2, 6),
        hidden_act=rng.choice(("gelu", "relu")),
        max_position_embeddings=rng.choice((13, 16)),
        num_labels=rng.choice((2, 3)),
        tie_word_embeddings=rng.random() < 0.7,
    )


def _gpt2(rng: Sizes) -> Drawn:
    heads, dim = _heads(rng)
    return transformers.GPT2LMHeadModel, _config(
        transformers.GPT2Config,
        vocab_size=rng.randint(3, 5),
        n_positions=rng.choice((13, 16)),
        n_embd=heads * dim,
        n_layer=rng.choice((2, 3)),
        n_head=heads,
        n_inner=rng.choice((None, 3, 5)),
        scale_attn_by_inverse_layer_idx=rng.random() < 0.3,
        tie_word_embeddings=rng.random() < 0.7,
        bos_token_id=1,
        eos_token_id=1,
    )


def _rotary(rng: Sizes) -> dict[str, Any]:
    """What Llama, Qwen3 and Gemma share: grouped heads of an even size, a width that need not be their product."""
    kv = rng.choice((1, 2))
    return {
        "vocab_size": rng.randint(3, 5),
        "hidden_size": rng.randint(3, 6),
        "intermediate_size": rng.randint(2, 6),
        "num_hidden_layers": rng.choice((2, 3)),
        "num_key_value_heads": kv,
        "num_attention_heads": kv * rng.choice((1, 2, 3)),
        "head_dim": rng.choice((2, 4)),
        "max_position_embeddings": 16,
        "tie_word_embeddings": rng.random() < 0.5,
        "attention_bias": rng.random() < 0.5,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 1,
    }


def _llama(rng: Sizes) -> Drawn:
    shared = _rotary(rng)
    shared["hidden_size"] = shared["num_attention_heads"] * rng.choice((1, 2))
    return transformers.LlamaForCausalLM, _config(transformers.LlamaConfig, **shared, mlp_bias=rng.random() < 0.3)


def _qwen3(rng: Sizes) -> Drawn:
    return transformers.Qwen3ForCausalLM, _config(transformers.Qwen3Config, **_rotary(rng))


def _gemma(rng: Sizes) -> Drawn:
    return transformers.GemmaForCausalLM, _config(transformers.GemmaConfig, **_rotary(rng))


def _vit(rng: Sizes) -> Drawn:
    heads, dim = _heads(rng)
    return transformers.ViTForImageClassification, _config(
        transformers.ViTConfig,
        hidden_size=heads * dim,
        num_hidden_layers=rng.choice((2, 3)),
        num_attention_heads=heads,
        intermediate_size=rng.randint(2, 6),
        image_size=rng.choice((2, 4)),
        patch_size=2,
        num_channels=rng.choice((1, 2)),
        num_labels=rng.choice((2, 3)),
        qkv_bias=rng.random() < 0.5,
    )


def _t5(rng: Sizes) -> Drawn:
    heads, dim = _heads(rng)
    return transformers.T5ForConditionalGeneration, _config(
        transformers.T5Config,
        vocab_size=rng.randint(3, 5),
        d_model=rng.randint(2, 5),
        d_kv=dim,
        d_ff=rng.randint(2, 5),
        num_layers=rng.choice((2, 3)),
        num_decoder_layers=2,
        num_heads=heads,
        relative_attention_num_buckets=8,
        feed_forward_proj=rng.choice(("relu", "gated-gelu")),
        tie_word_embeddings=rng.random() < 0.5,
        decoder_start_token_id=0,
    )


def _neox(rng: Sizes) -> Drawn:
    heads, dim = rng.choice((1, 2)), rng.choice((2, 4))
    return transformers.GPTNeoXForCausalLM, _config(
        transformers.GPTNeoXConfig,
        vocab_size=rng.randint(3, 5),
        hidden_size=heads * dim,
        num_hidden_layers=2,
        num_attention_heads=heads,
        intermediate_size=rng.randint(2, 6),
        rotary_pct=rng.choice((0.5, 1.0)) if dim == 4 else 1.0,
        max_position_embeddings=16,
        use_parallel_residual=rng.random() < 0.5,
        tie_word_embeddings=rng.random() < 0.5,
    )


def _bloom(rng: Sizes) -> Drawn:
    heads, dim = _heads(rng)
    return transformers.BloomForCausalLM, _config(
        transformers.BloomConfig,
        vocab_size=rng.randint(3, 5),
        hidden_size=heads * dim,
        n_layer=rng.choice((2, 3)),
        n_head=heads,
        apply_residual_connection_post_layernorm=rng.random() < 0.3,
        tie_word_embeddings=rng.random() < 0.7,
        bos_token_id=1,
        eos_token_id=1,
    )


def _mamba(rng: Sizes) -> Drawn:
    return transformers.MambaForCausalLM, _config(
        transformers.MambaConfig,
        vocab_size=rng.randint(3, 5),
        hidden_size=rng.randint(2, 4),
        state_size=rng.randint(2, 4),
        num_hidden_layers=2,
        expand=rng.choice((1, 2)),
        conv_kernel=rng.choice((2, 4)),
        time_step_rank=rng.choice((1, 2, 3)),
        use_bias=rng.random() < 0.3,
        tie_word_embeddings=rng.random() < 0.5,
    )


KINDS: dict[str, Callable[[Sizes], Drawn]] = {
    "bert": _bert,
    "gpt2": _gpt2,
    "llama": _llama,
    "vit": _vit,
    "t5": _t5,
    "neox": _neox,
    "bloom": _bloom,
    "mamba": _mamba,
    "qwen3": _qwen3,
    "gemma": _gemma,
}


def random_model(kind: str, seed: int) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """A model of one of `KINDS` with random sizes, and inputs of two or three positions."""
    rng = random.Random(f"{kind} {seed}")
    task, config = KINDS[kind](rng)
    model = task._from_config(config, attn_implementation="eager").eval()
    if kind == "vit":
        size = config.image_size
        return model, {"pixel_values": torch.rand(1, config.num_channels, size, size)}
    length = rng.choice((2, 3))
    inputs = {"input_ids": torch.tensor([rng.sample(range(config.vocab_size), length)])}
    if kind == "t5":
        inputs["decoder_input_ids"] = torch.tensor([rng.sample(range(config.vocab_size), 2)])
    return model, inputs
