"""Adapters that peft puts in place, where peft is installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf

from tests.proof import assert_complete, assert_sound

peft = pytest.importorskip("peft")


def llama(width: int, heads: int, wide: int) -> torch.nn.Module:
    config = hf.LlamaConfig(
        vocab_size=7, hidden_size=width, num_hidden_layers=1, num_attention_heads=heads, num_key_value_heads=heads,
        intermediate_size=wide, max_position_embeddings=16,
    )  # fmt: skip
    return hf.LlamaForCausalLM._from_config(config, attn_implementation="eager")


LORA: dict[str, Any] = {"r": 2, "target_modules": ["q_proj", "v_proj", "down_proj"], "init_lora_weights": False}
ADAPTERS = {
    "LoRA": lambda: peft.LoraConfig(**LORA),
    "DoRA": lambda: peft.LoraConfig(use_dora=True, **LORA),
    "IA3": lambda: peft.IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters(name: str) -> None:
    torch.manual_seed(0)
    odd = peft.inject_adapter_in_model(ADAPTERS[name](), llama(24, 3, 9))
    assert_sound(odd, {"input_ids": torch.tensor([[3, 1, 4, 1, 5]])})
    if name == "DoRA":  # its norm of a product with an identity matrix is not unrolled
        return
    tiny = peft.inject_adapter_in_model(ADAPTERS[name](), llama(4, 2, 3))
    assert_complete(tiny, {"input_ids": torch.tensor([[1, 2]])})
