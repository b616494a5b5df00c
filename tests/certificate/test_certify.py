"""The certificate agrees where the derivation is complete, and says where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import transformers
from torch import nn

import graphmerge as gm
from graphmerge.symmetry import members_of
from tests.modules import VARIANTS, variant

IDS = torch.tensor([[1, 2, 3]])


def ln(*sizes: int) -> float:
    """``Σ ln n!``"""
    return sum(math.lgamma(n + 1) for n in sizes)


class Layers(nn.Module):
    """Hidden layers on an embedding; ``act`` may tell hidden units apart."""

    def __init__(self, layers: int = 1, act: Callable[[torch.Tensor], torch.Tensor] = torch.sin) -> None:
        super().__init__()
        self.embed, self.head, self.act = nn.Embedding(7, 3), nn.Linear(3, 7), act
        self.up = nn.ModuleList([nn.Linear(3, 4) for _ in range(layers)])
        self.down = nn.ModuleList([nn.Linear(4, 3) for _ in range(layers)])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for up, down in zip(self.up, self.down):
            x = x + down(self.act(up(x)))
        return self.head(x)


def without_group(symmetry: gm.Symmetry, name: str) -> gm.Symmetry:
    """The same symmetry, except that one group stands still."""
    layout = {
        key: tuple(replace(b, moves=tuple(m for m in b.moves if m.group != name)) for b in blocks)
        for key, blocks in symmetry.layout.items()
    }
    return replace(symmetry, groups=tuple(g for g in symmetry.groups if g.name != name), layout=layout)


def renamed(symmetry: gm.Symmetry, old: str, new: str) -> gm.Symmetry:
    """Two groups become one: they move together or not at all."""
    layout = {
        key: tuple(
            replace(b, moves=tuple(replace(m, group=new) if m.group == old else m for m in b.moves)) for b in blocks
        )
        for key, blocks in symmetry.layout.items()
    }
    members = members_of(layout)
    groups = tuple(replace(g, members=members[g.name]) for g in symmetry.groups if g.name != old)
    return replace(symmetry, groups=groups, layout=layout)


def shown(found: gm.Certificate) -> dict[str, int]:
    """How many units could move more, by axis."""
    return {str(freedom): len(freedom.units) for freedom in found.missed}


def test_a_complete_derivation() -> None:
    found = gm.certify(Layers(2), IDS)
    assert found.complete is True
    assert found.sound
    assert found.log_order == pytest.approx(ln(3, 4, 4))
    assert found.counted == pytest.approx(found.log_order)
    assert (found.missed, found.reason, found.shrunk, found.length) == ((), "", {}, 2)
    assert found.nodes > 100
    assert found.model == "Layers"
    assert found.seconds >= found.verification.seconds > 0


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_complete(name: str) -> None:
    model, ids, order = variant(name)
    found = gm.certify(model, ids)
    assert found.complete is True, found.reason
    assert found.counted == pytest.approx(order)


def test_freedom_behind_a_constant_is_located() -> None:
    """A matrix that only a joint permutation of its axes leaves alone pins both: freedom that is known to be missed."""
    found = gm.certify(Layers(act=lambda x: torch.sin(x) @ (torch.eye(4) + 1)), IDS)
    assert found.complete is False
    assert found.sound
    assert found.counted is not None
    assert found.counted - found.log_order == pytest.approx(ln(4))
    assert "24 times as many" in found.reason
    assert shown(found) == {"up.0.weight[0]": 4, "up.0.bias[0]": 4, "down.0.weight[1]": 4}
    assert all(freedom.reason.startswith("pinned: constant") for freedom in found.missed)


def test_a_group_that_is_missing_is_located() -> None:
    model = Layers(2)
    symmetry = without_group(gm.trace(model, IDS).symmetry(), "ffn_2")
    found = gm.certify(model, IDS, symmetry)
    assert found.complete is False
    assert shown(found) == {"up.1.weight[0]": 4, "up.1.bias[0]": 4, "down.1.weight[1]": 4}
    assert {freedom.reason for freedom in found.missed} == {"in no group"}


def test_two_groups_tied_to_one_are_located() -> None:
    """No entry gets further than it does with the tie: only how many ways there are shows it."""
    model = Layers(2)
    symmetry = renamed(gm.trace(model, IDS).symmetry(), "ffn_2", "ffn")
    found = gm.certify(model, IDS, symmetry)
    assert found.complete is False
    assert found.counted is not None
    assert found.counted - found.log_order == pytest.approx(ln(4))
    assert shown(found) == {"up.1.weight[0]": 4}
    assert found.missed[0].reason == "derived to move with ffn only"


def test_a_permutation_shared_by_all_heads_is_located() -> None:
    model, ids, _ = variant("fused qkv with unbind")
    symmetry = gm.trace(model, ids).symmetry()
    (name,) = [g.name for g in symmetry.groups if g.name.endswith(".v")]
    layout = {
        key: tuple(replace(b, moves=tuple(replace(m, over=()) if m.group == name else m for m in b.moves)) for b in bs)
        for key, bs in symmetry.layout.items()
    }
    groups = tuple(replace(g, over=()) if g.name == name else g for g in symmetry.groups)
    found = gm.certify(model, ids, replace(symmetry, groups=groups, layout=layout))
    assert found.sound
    assert found.complete is False
    assert [str(freedom) for freedom in found.missed] == ["layers.0.qkv.weight[0]"]
    assert name in found.missed[0].reason


def test_a_symmetry_that_is_too_large_is_said_loudly() -> None:
    symmetry = gm.trace(Layers(), IDS).symmetry()
    found = gm.certify(Layers(act=lambda x: torch.sin(x) * torch.arange(4)), IDS, symmetry)
    assert found.complete is False
    assert not found.sound
    assert found.counted == pytest.approx(ln(3))
    assert found.log_order == pytest.approx(ln(3, 4))
    assert "UNSOUND: ffn" in found.reason
    assert "MORE WAS DERIVED THAN THERE IS" in found.reason
    assert found.missed == ()


def test_decisions_by_activations_leave_soundness_alone() -> None:
    found = gm.certify(Layers(act=lambda x: x if x.sum() > 0 else -x), IDS)
    assert found.complete is None
    assert found.sound
    assert found.counted is None
    assert "_local_scalar_dense" in found.reason
    assert found.log_order == pytest.approx(ln(3, 4))


def test_a_model_that_is_too_large_leaves_soundness_alone() -> None:
    found = gm.certify(Layers(3), IDS, limit=100)
    assert found.complete is None
    assert "more than 100 scalar operations; certify a smaller copy" in found.reason


def test_length_two_may_show_freedom_that_longer_inputs_do_not() -> None:
    """A table that is even about its middle: at two positions a constant, so that more seems free than is."""

    def act(x: torch.Tensor) -> torch.Tensor:
        place = torch.arange(x.shape[1]).minimum(torch.tensor(2)).sub(1).clamp(min=0)  # 0, 0, 1
        return x * (1 + place[:, None] * torch.arange(4))

    found = gm.certify(Layers(act=act), IDS)
    assert found.complete is True
    assert found.length == 3
    assert found.log_order == pytest.approx(ln(3))


def test_what_no_output_depends_on_is_not_called_proven() -> None:
    """A layer that counts from the third position on only shows at lengths that reach it."""

    class Late(Layers):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = self.embed(ids)
            x = x + self.down[0](self.act(self.up[0](x)))
            return self.head(torch.cat([x[:, :first], (x + self.down[1](self.act(self.up[1](x))))[:, first:]], 1))

    first = 2
    found = gm.certify(Late(2), IDS)
    assert found.complete is True, found.reason
    assert found.length == 3
    first = 6
    symmetry = gm.trace(Late(2), torch.arange(7)[None]).symmetry()
    assert symmetry.log_order() == pytest.approx(ln(3, 4, 4))
    found = gm.certify(Late(2), IDS, symmetry)
    assert found.complete is None
    assert "no output depends on what these groups move" in found.reason
    assert found.counted == pytest.approx(ln(3, 4))
    assert found.missed == ()


def test_a_large_model_is_certified_on_a_small_copy() -> None:
    """No weights are needed, and the certificate says what was made small."""
    with torch.device("meta"):
        model = transformers.BertForMaskedLM(transformers.BertConfig())
    found = gm.certify(model)
    assert found.complete is True, found.reason
    assert found.shrunk["hidden_size"][0] == 768
    assert found.shrunk["hidden_size"][1] < 32
    assert "num_attention_heads" in found.shrunk
    assert found.log_order == found.symmetry.log_order() < 1000
    assert model.config.hidden_size == 768


def test_inputs_of_a_large_model_are_made_to_fit_the_copy() -> None:
    with torch.device("meta"):
        model = transformers.BertForMaskedLM(transformers.BertConfig())
    ids = torch.tensor([[101, 7592, 2088, 999, 102]])
    found = gm.certify(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    assert found.complete is True, found.reason


def test_routed_experts_are_counted() -> None:
    """Stacked experts behind a top-k: whether or not the derivation lets them trade places, there is a count."""
    small = transformers.MixtralConfig(
        vocab_size=5, hidden_size=4, intermediate_size=3, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, num_local_experts=3, num_experts_per_tok=2, max_position_embeddings=16, pad_token_id=0,
    )  # fmt: skip
    found = gm.certify(transformers.MixtralForCausalLM(small).eval())
    assert found.sound
    # residual; v in the one key-value head, over which two query heads; experts, each with its hidden units
    assert found.counted == pytest.approx(ln(4, 2, 2, 3) + 3 * ln(3))
    if not found.complete:
        assert {freedom.tensor.rpartition("mlp.")[2] for freedom in found.missed} == {
            "experts.gate_up_proj", "experts.down_proj", "gate.weight",
        }  # fmt: skip
        assert all((freedom.axis, len(freedom.units)) == (0, 3) for freedom in found.missed)
