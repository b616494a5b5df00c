"""Deep and wide models from their configs alone: no weight exists, and the groups are those of the formula."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

import graphmerge as gm
from graphmerge.trace.capture import _attempt, _recorded
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.outputs import choose_outputs
from tests.modules import ln


def on_meta(model_class: type[torch.nn.Module], config: hf.PreTrainedConfig) -> torch.nn.Module:
    with torch.device("meta"):
        return model_class(config).eval()


def test_eighty_layers() -> None:
    config = hf.LlamaConfig(
        hidden_size=24,
        intermediate_size=9,
        num_hidden_layers=80,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=10,
        vocab_size=29,
        max_position_embeddings=37,
    )
    symmetry = gm.trace(on_meta(hf.LlamaForCausalLM, config)).symmetry()
    assert len(symmetry.groups) == 1 + 80 * 4
    assert symmetry.log_order() == pytest.approx(ln(24) + 80 * (ln(9) + ln(3) + 3 * ln(2) + 3 * ln(10)))
    assert symmetry["layers.79.v"].over == ("layers.79.heads",)


def test_the_shape_of_mixtral_8x22b() -> None:
    config = hf.MixtralConfig(
        hidden_size=6144,
        intermediate_size=16384,
        num_hidden_layers=2,
        num_attention_heads=48,
        num_key_value_heads=8,
        num_local_experts=8,
        num_experts_per_tok=2,
        vocab_size=32768,
    )
    model = on_meta(hf.MixtralForCausalLM, config)
    symmetry = gm.trace(model).symmetry()
    layer = ln(8) + 8 * (ln(6) + ln(128)) + ln(8) + 8 * ln(16384)  # key-value heads, queries, v; experts, f over them
    assert symmetry.log_order() == pytest.approx(ln(6144) + 2 * layer)
    assert all(p.is_meta for p in model.parameters())


@pytest.mark.parametrize(
    "cls", ["BertForMaskedLM", "LlamaForCausalLM", "MixtralForCausalLM", "T5ForConditionalGeneration"]
)
def test_common_models_take_the_fast_way(cls: str) -> None:
    """What falls back to make_fx is as right, but several times slower."""
    model_class = getattr(hf, cls)
    config = model_class.config_class()
    for name in ("num_hidden_layers", "num_layers", "num_decoder_layers"):
        if hasattr(config, name):
            setattr(config, name, 1)
    model = on_meta(model_class, config)
    with torch.no_grad():
        _attempt(model, default_inputs(model), choose_outputs, _recorded)
