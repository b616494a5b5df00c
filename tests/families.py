"""Small models of every family of design.md's table, at odd sizes that coincide with nothing, and their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
import transformers as hf

import graphmerge as gm
from tests.modules import ln

L = 2  # layers
TEXT = {"vocab_size": 29, "max_position_embeddings": 37}
Expected = dict[str, tuple[int, tuple[str, ...]]]  # name -> size, over


@dataclass(frozen=True)
class Family:
    """A model class with a small config, its groups, and its log-order by the formula of its row in the table."""

    model_class: str
    config: Callable[[], hf.PreTrainedConfig]
    groups: Expected
    log_order: float
    attention: tuple[str, ...] = ("sdpa", "eager")

    def model(self, attention: str | None = None) -> torch.nn.Module:
        torch.manual_seed(0)
        cls = getattr(hf, self.model_class)
        return cls._from_config(self.config(), attn_implementation=attention or self.attention[0]).eval()


@cache
def traced(name: str, attention: str | None = None) -> gm.ConstraintGraph:
    return gm.trace(FAMILIES[name].model(attention))


def stack(
    *roles: tuple[str, int, tuple[str, ...]], layers: int = L, prefix: str = "layers"
) -> Iterator[tuple[str, tuple[int, tuple[str, ...]]]]:
    """``(role, size, over)`` in each layer; roles in ``over`` are of the same layer."""
    for layer in range(layers):
        for role, size, over in roles:
            bases = tuple(f"{prefix}.{layer}.{base}" for base in over)
            yield f"{prefix}.{layer}.{role}", (size, bases)


def attention(heads: int, dim: int, wide: int) -> list[tuple[str, int, tuple[str, ...]]]:
    return [("heads", heads, ()), ("qk", dim, ("heads",)), ("v", dim, ("heads",)), ("ffn", wide, ())]


def grouped(key_heads: int, queries: int, dim: int, wide: int) -> list[tuple[str, int, tuple[str, ...]]]:
    """Grouped queries under a rotary table: qk pinned."""
    return [
        ("heads", key_heads, ()), ("query_heads", queries, ("heads",)), ("v", dim, ("heads",)), ("ffn", wide, ()),
    ]  # fmt: skip


BERT = {"hidden_size": 21, "num_hidden_layers": L, "num_attention_heads": 3, "intermediate_size": 10, **TEXT}
LAYER = ln(10) + ln(3) + 3 * (ln(7) + ln(7))  # f, H, qk and v over H
GQA = {
    "intermediate_size": 9, "num_hidden_layers": L, "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 10,
    **TEXT,
}  # fmt: skip
GQA_LAYER = ln(9) + ln(3) + 3 * ln(2) + 3 * ln(10)  # f, K, g over K, v over K


def _t5() -> Expected:
    found: Expected = {"residual": (15, ()), "encoder.heads": (3, ()), "decoder.heads": (3, ())}
    for layer in range(L):
        for role in ("qk", "v"):
            found[f"encoder.layers.{layer}.{role}"] = (5, ("encoder.heads",))
            found[f"decoder.layers.{layer}.SelfAttention.{role}"] = (5, ("decoder.heads",))
            found[f"decoder.layers.{layer}.EncDecAttention.{role}"] = (5, (f"decoder.layers.{layer}.heads",))
        found[f"encoder.layers.{layer}.ffn"] = found[f"decoder.layers.{layer}.ffn"] = (9, ())
        found[f"decoder.layers.{layer}.heads"] = (3, ())
    return found


def _rope(fraction: float) -> dict[str, object]:
    return {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": fraction}


FAMILIES = {
    "BERT": Family(
        "BertForMaskedLM",
        lambda: hf.BertConfig(**BERT),
        {"residual": (21, ()), **dict(stack(*attention(3, 7, 10)))},
        ln(21) + L * LAYER,
    ),
    "BERT with a classifier": Family(
        "BertForSequenceClassification",
        lambda: hf.BertConfig(**BERT),
        {"residual": (21, ()), **dict(stack(*attention(3, 7, 10))), "bert.pooler.dense": (21, ())},
        ln(21) + L * LAYER + ln(21),
    ),
    "ALBERT": Family(
        "AlbertForMaskedLM",
        lambda: hf.AlbertConfig(embedding_size=9, **(BERT | {"num_hidden_layers": 3})),
        {
            "albert.embeddings.word_embeddings": (9, ()),
            "residual": (21, ()),
            **dict(stack(*attention(3, 7, 10), layers=1)),
        },
        ln(9) + ln(21) + LAYER,  # one layer's parameters for all three
    ),
    "GPT-2": Family(
        "GPT2LMHeadModel",
        lambda: hf.GPT2Config(vocab_size=29, n_positions=37, n_embd=21, n_layer=L, n_head=3, n_inner=10),
        {"residual": (21, ()), **dict(stack(*attention(3, 7, 10)))},
        ln(21) + L * LAYER,
    ),
    "Llama": Family(
        "LlamaForCausalLM",
        lambda: hf.LlamaConfig(hidden_size=24, **GQA),
        {"residual": (24, ()), **dict(stack(*grouped(3, 2, 10, 9)))},
        ln(24) + L * GQA_LAYER,
    ),
    "GPT-NeoX": Family(
        "GPTNeoXForCausalLM",
        lambda: hf.GPTNeoXConfig(
            hidden_size=30,
            num_hidden_layers=L,
            num_attention_heads=3,
            intermediate_size=9,
            rope_parameters=_rope(0.4),
            **TEXT,
        ),
        {
            "residual": (30, ()),
            **dict(stack(("heads", 3, ()), ("qk", 6, ("heads",)), ("v", 10, ("heads",)), ("ffn", 9, ()))),
        },
        ln(30) + L * (ln(9) + ln(3) + 3 * (ln(6) + ln(10))),  # 4 of 10 dimensions are rotated
    ),
    "BLOOM": Family(
        "BloomForCausalLM",
        lambda: hf.BloomConfig(vocab_size=29, hidden_size=21, n_layer=L, n_head=3),
        {
            "residual": (21, ()),
            **dict(stack(("qk", 7, ("heads",)), ("v", 7, ("heads",)), ("ffn", 84, ()))),
        },
        ln(21) + L * (ln(84) + 3 * (ln(7) + ln(7))),  # heads pinned by ALiBi
        ("eager",),
    ),
    "T5": Family(
        "T5ForConditionalGeneration",
        lambda: hf.T5Config(
            vocab_size=29,
            d_model=15,
            d_kv=5,
            d_ff=9,
            num_layers=L,
            num_decoder_layers=L,
            num_heads=3,
            decoder_start_token_id=0,
        ),
        _t5(),
        # one d; H of each stack and of each cross-attention; 2 L feed-forwards; qk and v of 3 L attentions
        ln(15) + (2 + L) * ln(3) + 2 * L * ln(9) + 3 * L * 3 * (ln(5) + ln(5)),
    ),
    "Falcon, multi-query": Family(
        "FalconForCausalLM",
        lambda: hf.FalconConfig(
            vocab_size=29,
            hidden_size=30,
            num_hidden_layers=L,
            num_attention_heads=3,
            multi_query=True,
            alibi=False,
            ffn_hidden_size=14,
        ),
        {"residual": (30, ()), **dict(stack(("heads", 3, ()), ("v", 10, ()), ("ffn", 14, ())))},
        ln(30) + L * (ln(3) + ln(10) + ln(14)),
    ),
    "ViT": Family(
        "ViTForImageClassification",
        lambda: hf.ViTConfig(
            hidden_size=21,
            num_hidden_layers=L,
            num_attention_heads=3,
            intermediate_size=10,
            image_size=8,
            patch_size=4,
            num_labels=5,
        ),
        {"residual": (21, ()), **dict(stack(*attention(3, 7, 10)))},
        ln(21) + L * LAYER,
    ),
    "Mamba": Family(
        "MambaForCausalLM",
        lambda: hf.MambaConfig(
            vocab_size=29, hidden_size=9, state_size=5, num_hidden_layers=L, time_step_rank=3, intermediate_size=14
        ),
        {
            "residual": (9, ()),
            **dict(stack(("mixer.in_proj", 14, ()), ("mixer.A_log", 5, ()), ("mixer.dt_proj", 3, ()))),
        },
        ln(9) + L * (ln(14) + ln(5) + ln(3)),  # inner, state, dt rank
        ("eager",),
    ),
    "Qwen3": Family(
        "Qwen3ForCausalLM",
        lambda: hf.Qwen3Config(hidden_size=25, **GQA),
        {"residual": (25, ()), **dict(stack(*grouped(3, 2, 10, 9)))},
        ln(25) + L * GQA_LAYER,
    ),
    "Gemma": Family(
        "GemmaForCausalLM",
        lambda: hf.GemmaConfig(hidden_size=25, **(GQA | {"num_attention_heads": 3, "num_key_value_heads": 1})),
        {"residual": (25, ()), **dict(stack(("heads", 3, ()), ("v", 10, ()), ("ffn", 9, ())))},
        ln(25) + L * (ln(3) + ln(10) + ln(9)),
    ),
    "Mixtral": Family(
        "MixtralForCausalLM",
        lambda: hf.MixtralConfig(hidden_size=24, num_local_experts=3, num_experts_per_tok=2, **GQA),
        {
            "residual": (24, ()),
            **dict(stack(*grouped(3, 2, 10, 9)[:-1], ("mlp.gate", 3, ()), ("ffn", 9, ("mlp.gate",)))),
        },
        ln(24) + L * (ln(3) + 3 * ln(2) + 3 * ln(10) + ln(3) + 3 * ln(9)),  # experts, and f over them
    ),
}
