"""What configs are told while a model is traced, and the dense form of experts."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from graphmerge.trace.settings import DENSE, traceable

SMALL = {
    "vocab_size": 29, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 17,
}  # fmt: skip
EXPERTS = {
    "gated": lambda: hf.MixtralForCausalLM(
        hf.MixtralConfig(intermediate_size=5, num_local_experts=4, num_experts_per_tok=2, **SMALL)
    ),
    "transposed, interleaved, with biases": lambda: hf.GptOssForCausalLM(
        hf.GptOssConfig(intermediate_size=5, num_local_experts=4, num_experts_per_tok=2, head_dim=6, **SMALL)
    ),
    "not gated": lambda: hf.NemotronHForCausalLM(
        hf.NemotronHConfig(
            layers_block_type=["moe", "attention"], n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=5,
            moe_shared_expert_intermediate_size=5, intermediate_size=5, n_group=1, topk_group=1, head_dim=6,
            mamba_num_heads=4, mamba_head_dim=6, n_groups=2, ssm_state_size=5, chunk_size=4, **SMALL,
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPERTS)
def test_dense_experts_compute_the_same(name: str) -> None:
    torch.manual_seed(0)
    model = EXPERTS[name]().eval().double()
    for p in model.parameters():
        p.data = 0.5 * torch.randn_like(p)
    ids = torch.arange(7)[None]
    with torch.no_grad():
        model.set_experts_implementation("eager")
        expected = model(ids).logits
        with traceable(model):
            assert model.config._experts_implementation == DENSE
            got = model(ids).logits
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)  # parts run in float32


def test_everything_is_as_before_afterwards() -> None:
    model = EXPERTS["gated"]()
    before = model.config._experts_implementation
    model.config.use_cache = True

    def interrupted() -> None:
        with traceable(model):
            assert model.config.use_cache is False
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert model.config.use_cache is True
    assert model.config._experts_implementation == before


def test_a_model_without_config() -> None:
    with traceable(torch.nn.Linear(2, 2)):
        pass
