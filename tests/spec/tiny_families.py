"""Tiny models of the families that specs are packaged for, at odd sizes, two configs where one leaves something out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf

TEXT: dict[str, Any] = {"vocab_size": 29, "max_position_embeddings": 37}
BERT = {"hidden_size": 15, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 7, **TEXT}
GROUPED = {
    "hidden_size": 24, "intermediate_size": 9, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 3, "head_dim": 10, **TEXT,
}  # fmt: skip
T5 = {
    "vocab_size": 29,
    "d_model": 15,
    "d_kv": 4,
    "d_ff": 9,
    "num_layers": 2,
    "num_heads": 3,
    "decoder_start_token_id": 0,
}
SEQUENCE = {
    "d_model": 15, "encoder_layers": 2, "encoder_attention_heads": 3, "encoder_ffn_dim": 7, "decoder_layers": 3,
    "decoder_attention_heads": 5, "decoder_ffn_dim": 8,
}  # fmt: skip


def _rope(fraction: float) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": fraction}


def _clip() -> hf.CLIPConfig:
    text = {"hidden_size": 15, "intermediate_size": 7, "num_hidden_layers": 2, "num_attention_heads": 3, **TEXT}
    vision = {"hidden_size": 14, "intermediate_size": 9, "num_hidden_layers": 3, "num_attention_heads": 2,
              "image_size": 8, "patch_size": 4}  # fmt: skip
    return hf.CLIPConfig(text_config=text | {"eos_token_id": 2}, vision_config=vision, projection_dim=11)


FAMILIES: dict[str, tuple[str, Callable[[], Any]]] = {
    "bert": ("BertForMaskedLM", lambda: hf.BertConfig(**BERT)),
    "bert, classifier": ("BertForSequenceClassification", lambda: hf.BertConfig(**BERT)),
    "roberta": ("RobertaForMaskedLM", lambda: hf.RobertaConfig(**BERT, type_vocab_size=1)),
    "roberta, classifier": ("RobertaForSequenceClassification", lambda: hf.RobertaConfig(**BERT)),
    "distilbert": (
        "DistilBertForMaskedLM",
        lambda: hf.DistilBertConfig(dim=15, hidden_dim=7, n_heads=3, n_layers=2, **TEXT),
    ),
    "distilbert, classifier": (
        "DistilBertForSequenceClassification",
        lambda: hf.DistilBertConfig(dim=15, hidden_dim=7, n_heads=3, n_layers=2, **TEXT),
    ),
    "albert": ("AlbertForMaskedLM", lambda: hf.AlbertConfig(embedding_size=9, **(BERT | {"num_hidden_layers": 3}))),
    "deberta-v2": (
        "DebertaV2ForMaskedLM",
        lambda: hf.DebertaV2Config(
            **BERT,
            relative_attention=True,
            position_buckets=4,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            position_biased_input=False,
            type_vocab_size=0,
        ),
    ),
    "deberta-v2, plain": ("DebertaV2ForMaskedLM", lambda: hf.DebertaV2Config(**BERT)),
    "modernbert": (
        "ModernBertForMaskedLM",
        lambda: hf.ModernBertConfig(
            **BERT | {"hidden_size": 30},
            num_labels=2,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            cls_token_id=1,
            sep_token_id=2,
            local_attention=6,
            global_attn_every_n_layers=2,
        ),
    ),
    "gpt2": (
        "GPT2LMHeadModel",
        lambda: hf.GPT2Config(vocab_size=29, n_positions=37, n_embd=15, n_layer=2, n_head=3, n_inner=7),
    ),
    "gpt2, default inner": (
        "GPT2LMHeadModel",
        lambda: hf.GPT2Config(vocab_size=29, n_positions=37, n_embd=15, n_layer=2, n_head=3),
    ),
    "bloom": ("BloomForCausalLM", lambda: hf.BloomConfig(vocab_size=29, hidden_size=15, n_layer=2, n_head=3)),
    "mamba": (
        "MambaForCausalLM",
        lambda: hf.MambaConfig(
            vocab_size=29, hidden_size=9, state_size=5, num_hidden_layers=2, time_step_rank=3, intermediate_size=14
        ),
    ),
    "gpt_neox": (
        "GPTNeoXForCausalLM",
        lambda: hf.GPTNeoXConfig(
            hidden_size=30,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=9,
            rope_parameters=_rope(0.4),
            **TEXT,
        ),
    ),
    "llama": ("LlamaForCausalLM", lambda: hf.LlamaConfig(**GROUPED)),
    "llama, biased": (
        "LlamaForCausalLM",
        lambda: hf.LlamaConfig(
            **GROUPED | {"num_key_value_heads": 6}, attention_bias=True, mlp_bias=True, tie_word_embeddings=True
        ),
    ),
    "mistral": ("MistralForCausalLM", lambda: hf.MistralConfig(**GROUPED)),
    "qwen3": ("Qwen3ForCausalLM", lambda: hf.Qwen3Config(**GROUPED)),
    "gemma2": ("Gemma2ForCausalLM", lambda: hf.Gemma2Config(**GROUPED, sliding_window=8)),
    "t5": ("T5ForConditionalGeneration", lambda: hf.T5Config(**T5, num_decoder_layers=3)),
    "t5, gated": (
        "T5ForConditionalGeneration",
        lambda: hf.T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    ),
    "bart": ("BartForConditionalGeneration", lambda: hf.BartConfig(**SEQUENCE, **TEXT)),
    "vit": (
        "ViTForImageClassification",
        lambda: hf.ViTConfig(
            hidden_size=15,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=7,
            image_size=8,
            patch_size=4,
            num_labels=5,
        ),
    ),
    "clip": ("CLIPModel", _clip),
    "whisper": (
        "WhisperForConditionalGeneration",
        lambda: hf.WhisperConfig(
            **SEQUENCE | {"d_model": 30},
            vocab_size=29,
            num_mel_bins=6,
            max_source_positions=16,
            max_target_positions=37,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=1,
        ),
    ),
}


def tiny(name: str) -> torch.nn.Module:
    """One of the models, with random weights."""
    model_class, config = FAMILIES[name]
    torch.manual_seed(0)
    return getattr(hf, model_class)._from_config(config()).eval()
