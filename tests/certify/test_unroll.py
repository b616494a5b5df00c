"""The scalar graph computes what the model computes."""

from __future__ import annotations

import pytest
import torch
import transformers

from graphmerge.certify.scalars import HANDLERS, VIEWS
from tests.certify.arithmetic import outputs_of
from tests.certify.random_configs import KINDS, random_model
from tests.certify.zoo import ZOO


def _drawn(model: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for tensor in (*model.parameters(), *(b for n, b in model.named_buffers() if "running" in n)):
        tensor.data = torch.rand(tensor.shape, generator=generator) * 0.8 + 0.1
    return model.eval()


@pytest.mark.parametrize("tell_slices", [False, True])
@pytest.mark.parametrize("name", ZOO)
def test_small_modules(name: str, tell_slices: bool) -> None:
    module, inputs = ZOO[name]()
    module = _drawn(module)
    with torch.no_grad():
        expected = module(inputs).flatten().double()
    assert torch.allclose(outputs_of(module, inputs, (), tell_slices), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers(kind: str) -> None:
    model, inputs = random_model(kind, seed=1)
    model = _drawn(model)
    with torch.no_grad():
        expected = model(**inputs).logits.flatten().double()
    assert torch.allclose(outputs_of(model, inputs, ("logits",), tell_slices=True), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("MixtralForCausalLM", {"num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 3}),
        ("Qwen3MoeForCausalLM", {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 3}),
        ("GptOssForCausalLM", {"num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 3}),
    ],
)
def test_routed_experts(name: str, config: dict[str, int]) -> None:
    """Every expert on every token, by indicators, is what the model computes for the experts that were chosen."""
    model_class = getattr(transformers, name)
    sizes = {"vocab_size": 5, "hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2}
    small = model_class.config_class(**sizes, num_hidden_layers=1, pad_token_id=0, **config)
    torch.manual_seed(0)
    model = model_class._from_config(small, attn_implementation="eager", experts_implementation="eager").eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape)
    inputs = {"input_ids": torch.tensor([[1, 3, 2]])}
    with torch.no_grad():
        expected = model(**inputs).logits.flatten().double()
    assert torch.allclose(outputs_of(model, inputs, ("logits",), tell_slices=True), expected, rtol=1e-3, atol=1e-4)


def test_every_op_that_is_named_exists() -> None:
    assert [n for n in (*HANDLERS, *VIEWS) if not hasattr(torch.ops.aten, n.removeprefix("aten."))] == []
