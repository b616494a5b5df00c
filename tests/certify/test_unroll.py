"""The scalar graph computes what the model computes."""

from __future__ import annotations

import pytest
import torch

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


def test_every_op_that_is_named_exists() -> None:
    assert [n for n in (*HANDLERS, *VIEWS) if not hasattr(torch.ops.aten, n.removeprefix("aten."))] == []
