"""x-transformers, switch by switch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from tests.libraries.sizes import ODD, TINY, Sizes
from tests.proof import assert_complete, assert_sound

x_transformers = pytest.importorskip("x_transformers")


@dataclass(frozen=True)
class Switched:
    """Settings of the layers, and of the wrapper around them; the length and the layers that a count needs."""

    layers: dict[str, Any] = field(default_factory=dict)
    wrapper: dict[str, Any] = field(default_factory=dict)
    kind: str = "Decoder"
    length: int = 2
    depth: int = 1

    def model(self, s: Sizes, depth: int) -> nn.Module:
        stack = getattr(x_transformers, self.kind)(
            dim=s.width, depth=depth, heads=s.heads, **({"attn_dim_head": s.dim, "ff_mult": 2} | self.layers)
        )
        return x_transformers.TransformerWrapper(
            num_tokens=s.vocabulary, max_seq_len=16, attn_layers=stack, **self.wrapper
        )


def layers(**settings: Any) -> Switched:
    return Switched(settings)


SWITCHES = {
    "encoder": Switched(kind="Encoder"),
    "glu": layers(ff_glu=True, ff_swish=True, ff_no_bias=True),
    "squared relu": layers(ff_relu_squared=True, ff_post_act_ln=True),
    "rotary": layers(rotary_pos_emb=True, rotary_emb_dim=4, attn_dim_head=6),
    "polar": layers(polar_pos_emb=True),
    "alibi": layers(alibi_pos_bias=True),
    "relative bias": layers(rel_pos_bias=True),
    "bias from a network": layers(dynamic_pos_bias=True),
    "talking heads": layers(attn_pre_talking_heads=True, attn_post_talking_heads=True),
    "one key-value head": layers(attn_one_kv_head=True),
    "grouped queries, normed": layers(attn_kv_heads=1, attn_qk_norm=True, attn_qk_norm_dim_scale=True, attn_dim_head=4),
    "sandwich": layers(sandwich_coef=1, sandwich_norm=True),
    "macaron": layers(macaron=True),
    "custom order": layers(custom_layers=("a", "f", "f", "a")),
    "rms norm": layers(use_rmsnorm=True),
    "scale norm": layers(use_scalenorm=True),
    "dynamic tanh": layers(use_dynamic_tanh=True),
    "head scale and gates": layers(attn_head_scale=True, attn_gate_values=True, attn_on_attn=True),
    "memory keys and values": layers(attn_num_mem_kv=2),
    "memory tokens": Switched(wrapper={"num_memory_tokens": 2}, depth=2),
    "sigmoid": layers(attn_sigmoid=True, attn_softclamp_logits=True),
    "sparse top-k": layers(attn_sparse_topk=2),
    "shifted tokens": layers(shift_tokens=1),
    "gated residual": layers(gate_residual=True),
    "scaled residual": layers(scale_residual=True, residual_attn=True),
    "residual streams": layers(num_residual_streams=3),
    "norm after": layers(pre_norm=False),
    "tied": Switched({"weight_tie_layers": True}, {"tie_embedding": True}),
    "narrow embedding": Switched(wrapper={"emb_dim": 5, "l2norm_embed": True, "post_emb_norm": True}),
    "no positions": Switched(wrapper={"use_abs_pos_emb": False}),
    "fused attention": layers(attn_flash=True),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_sound(name: str) -> None:
    torch.manual_seed(0)
    assert_sound(SWITCHES[name].model(ODD, 1), torch.tensor([[3, 1, 4, 1, 5]]))


@pytest.mark.parametrize("name", SWITCHES)
def test_complete(name: str) -> None:
    torch.manual_seed(0)
    case = SWITCHES[name]
    assert_complete(case.model(TINY, case.depth), torch.tensor([[1, 2, 0]])[:, : case.length])


def test_images() -> None:
    def model(s: Sizes, size: int) -> nn.Module:
        stack = x_transformers.Encoder(dim=s.width, depth=1, heads=s.heads, attn_dim_head=s.dim, ff_mult=1)
        return x_transformers.ViTransformerWrapper(
            image_size=2 * size, patch_size=size, channels=2, num_classes=3, attn_layers=stack
        )

    torch.manual_seed(0)
    assert_sound(model(ODD, 4), torch.rand(1, 2, 8, 8))
    assert_complete(model(TINY, 1), torch.rand(1, 2, 2, 2))
