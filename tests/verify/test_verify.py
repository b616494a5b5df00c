"""The check finds what is wrong, says where, and admits what it cannot see."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM

import graphmerge as gm
from graphmerge.symmetry import Symmetry
from graphmerge.trace.inputs import lengths
from graphmerge.verify import Verification, verify
from graphmerge.verify.edits import without
from tests.families import FAMILIES, traced

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Small(nn.Module):
    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.embed, self.up, self.down, self.head = (
            nn.Embedding(13, 6),
            nn.Linear(6, 5),
            nn.Linear(5, 6),
            nn.Linear(6, 13),
        )
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(self.up(x).sin()))


@pytest.fixture(scope="module")
def small() -> tuple[nn.Module, Symmetry]:
    torch.manual_seed(0)
    model = Small().eval()
    return model, gm.trace(model, IDS).symmetry()


def test_a_right_symmetry(small: tuple[nn.Module, Symmetry]) -> None:
    found = verify(*small, IDS)
    assert found.ok
    assert found.max_error <= 1e-12
    assert set(found.errors) == set(found.broken) == {"residual", "ffn"}
    assert min(found.broken.values()) >= 1e-3
    assert found.culprits == found.untested == ()
    found.require()


@pytest.mark.parametrize(
    ("group", "tensor", "axis"),
    [("ffn", "up.bias", 0), ("ffn", "down.weight", 1), ("residual", "down.bias", 0), ("residual", "head.weight", 1)],
)
def test_a_broken_tie_is_found_and_named(small: tuple[nn.Module, Symmetry], group: str, tensor: str, axis: int) -> None:
    model, symmetry = small
    member = next(a for a in symmetry[group].members if (a.tensor, a.axis) == (tensor, axis))
    found = verify(model, without(symmetry, group, member, [tensor]), IDS)
    assert not found.ok
    assert found.culprits == (group,)
    assert found.errors[group] > 1e-3
    with pytest.raises(gm.NotEquivariant, match=rf"^{group} change the outputs by \d\.\de[-+]\d\d \(allowed: 1e-09\)"):
        found.require()


class Sloped(Small):
    """Its hidden units are told apart by a constant, as ALiBi tells heads apart."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(self.up(x).sin() * torch.arange(5)))


def test_a_freedom_too_many_is_found(small: tuple[nn.Module, Symmetry]) -> None:
    found = verify(Sloped().eval(), small[1], IDS)
    assert found.culprits == ("ffn",)
    assert found.errors["residual"] <= 1e-12


def test_heads_that_stay_behind_are_found() -> None:
    symmetry = traced("GPT-2").symmetry()
    model = FAMILIES["GPT-2"].model()
    key = "transformer.h.0.attn.c_proj.weight"
    (block,) = symmetry.layout[key]
    heads = next(m for m in block.moves if m.group == "layers.0.heads")
    crossed = replace(block, moves=tuple(m for m in block.moves if m != heads))
    found = verify(model, replace(symmetry, layout={**symmetry.layout, key: (crossed,)}))
    assert found.culprits == ("layers.0.heads",)


class Gram(nn.Module):
    """x·xᵀ with one table: its columns may be permuted or not, there is nothing to tie them to."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(13, 6)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table(ids) @ self.table.weight.mT


def test_a_group_of_one_axis_is_torn() -> None:
    model = Gram().eval()
    found = verify(model, gm.trace(model, IDS).symmetry(), IDS)
    assert found.ok
    assert found.untested == ()
    assert found.broken["table"] >= 1e-3


class Saturated(Small):
    """All hidden units are at their limit, whatever the weights."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(self.up(x).clamp(1000, 1001)))


def test_what_no_break_can_show_is_untested() -> None:
    model = Saturated().eval()
    found = verify(model, gm.trace(model, IDS).symmetry(), IDS)
    assert found.ok
    assert found.untested == ("ffn",)


def test_an_alias_that_stays_behind_is_found() -> None:
    model = Small(tied=True).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert verify(model, symmetry, IDS).ok
    one_name = {k: blocks for k, blocks in symmetry.layout.items() if k != "head.weight"}
    found = verify(model, replace(symmetry, layout=one_name), IDS)
    assert found.errors["residual"] == float("inf")
    assert "residual" in found.culprits


def test_the_symmetry_of_another_model(small: tuple[nn.Module, Symmetry]) -> None:
    _, symmetry = small
    with pytest.raises(gm.ArchitectureMismatch, match=r"moves 'embed\.weight', which GPT2LMHeadModel does not have"):
        verify(FAMILIES["GPT-2"].model(), symmetry)
    wider = Small()
    wider.up, wider.down = nn.Linear(6, 7), nn.Linear(7, 6)
    with pytest.raises(gm.ArchitectureMismatch, match=r"up\.weight has shape \(7, 6\), the symmetry expects \(5, 6\)"):
        verify(wider, symmetry, IDS)


def test_nothing_to_move(small: tuple[nn.Module, Symmetry]) -> None:
    found = verify(small[0], Symmetry((), (), {}, {}), IDS)
    assert found.ok
    assert found.max_error == 0.0


def test_a_third_length_and_a_masked_position() -> None:
    model = FAMILIES["GPT-2"].model()
    symmetry = traced("GPT-2").symmetry()
    used = [p.example.length for p in traced("GPT-2").programs]
    found = verify(model, symmetry)
    assert found.length not in used
    assert found.length in list(lengths(model, traced("GPT-2").programs[0].example))


def test_weights_are_not_needed_and_stay() -> None:
    model = FAMILIES["Llama"].model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = verify(model, traced("Llama").symmetry())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    with torch.device("meta"):
        meta = FAMILIES["Llama"].model()
    assert verify(meta, traced("Llama").symmetry()).ok
    assert found.ok


def test_a_model_at_its_start_hides_nothing() -> None:
    """Biases of 0, gains of 1 and an adapter of 0 would pass any tie; the weights are drawn anew."""

    class Fresh(Small):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(6)
            for p in (self.up.bias, self.down.bias, self.down.weight):
                nn.init.zeros_(p)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = self.norm(self.embed(ids))
            return self.head(x + self.down(self.up(x).sin()))

    model = Fresh().eval()
    symmetry = gm.trace(model, IDS).symmetry()
    for tensor in ("up.bias", "down.bias", "norm.weight", "norm.bias"):
        (group,) = {g.name for g in symmetry.groups for a in g.members if a.tensor == tensor}
        member = next(a for a in symmetry[group].members if a.tensor == tensor)
        assert verify(model, without(symmetry, group, member, [tensor]), IDS).culprits == (group,)


def test_several_groups_together_are_named_so() -> None:
    found = Verification(max_error=0.1, errors={"a": 0.0}, broken={}, untested=(), length=None, seconds=0.0)
    with pytest.raises(gm.NotEquivariant, match=r"several groups together change the outputs by 1\.0e-01"):
        found.require()


def test_groups_deep_inside_show_too() -> None:
    """Tokens grow alike from layer to layer, and attention over tokens that are alike shows nothing."""
    sizes = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 192, "num_hidden_layers": 12}
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=60, max_position_embeddings=32, **sizes)).eval()
    steps = []
    found = verify(model, gm.trace(model).symmetry(), progress=lambda done, total: steps.append((done, total)))
    assert found.ok
    assert found.untested == ()
    assert len(found.errors) == 49
    assert steps == [(n, 98) for n in range(1, 99)]
