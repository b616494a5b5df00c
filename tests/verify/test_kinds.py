"""Every group's kind holds on every family, larger kinds show, and a kind or side that is wrong is caught and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
import transformers as hf
from torch import nn

import graphmerge as gm
from graphmerge.symmetry import Action, Axis, Symmetry
from graphmerge.verify import KindCheck, Verification
from graphmerge.verify.edits import edited
from graphmerge.verify.maps import opposite
from tests.families import FAMILIES, TEXT, Family, traced

OPT = Family(
    "OPTForCausalLM",
    lambda: hf.OPTConfig(
        hidden_size=21, word_embed_proj_dim=21, num_hidden_layers=1, num_attention_heads=3, ffn_dim=10, **TEXT
    ),
    {},
    0.0,
)
LAYER_NORM = {"residual": "permutation", "heads": "permutation", "qk": "invertible", "v": "invertible"}
RMS_NORM = LAYER_NORM | {"residual": "signed_permutation", "ffn": "scaled_permutation"}
GROUPED = {k: kind for k, kind in RMS_NORM.items() if k != "qk"}
# by the role in a group's name: what the ops around it leave
KINDS: dict[str, dict[str, str]] = {
    "BERT": LAYER_NORM | {"ffn": "permutation"},  # GELU
    "BERT with a classifier": LAYER_NORM | {"ffn": "permutation", "dense": "signed_permutation"},  # tanh
    "GPT-2": LAYER_NORM | {"ffn": "permutation"},
    "ViT": LAYER_NORM | {"ffn": "permutation"},
    "GPT-NeoX": LAYER_NORM | {"ffn": "permutation"},
    "OPT": LAYER_NORM | {"ffn": "scaled_permutation"},  # ReLU
    "T5": RMS_NORM,  # ReLU
    "Llama": GROUPED | {"query_heads": "permutation"},  # the linear branch of the gate
    "Qwen3": GROUPED | {"query_heads": "permutation"},
    "Mixtral": GROUPED | {"query_heads": "permutation", "gate": "permutation"},
    "Gemma": GROUPED,  # 1 + gain
    "Mamba": {
        "residual": "signed_permutation", "in_proj": "permutation", "A_log": "scaled_permutation",
        "dt_proj": "invertible",
    },
}  # fmt: skip
LARGEST = ("invertible",)


@cache
def checked(name: str) -> tuple[Symmetry, Verification]:
    if name == "OPT":
        model = OPT.model()
        symmetry = gm.trace(model).symmetry()
    else:
        model, symmetry = FAMILIES[name].model(), traced(name).symmetry()
    return symmetry, gm.verify(model, symmetry, kinds=True)


@pytest.mark.parametrize("family", KINDS)
def test_every_kind_holds_and_the_next_larger_shows(family: str) -> None:
    symmetry, found = checked(family)
    assert found.ok
    assert found.wrong_kinds == ()
    kinds = {g.name: g.kind for g in (*symmetry.groups, *(r.group for r in symmetry.rotary))}
    assert set(found.kinds) == set(kinds)
    for name, check in found.kinds.items():
        role = name.rpartition(".")[2]
        assert check.kind == kinds[name] == (KINDS[family] | {"rotary": "rotary"})[role], name
        assert check.error <= 1e-12, name
        assert check.kind == "permutation" or check.broken > 1e-3, name
        assert check.kind in LARGEST or check.wider, name
        assert all(error > 1e-3 for error in check.wider.values()), (name, check.wider)
        assert not check.cautious
        assert not check.untested


def test_signs_of_a_scaled_permutation() -> None:
    """A gate's linear branch may change sign, ReLU may not: there signs alone are a larger class, and show."""
    _, llama = checked("Llama")
    assert set(llama.kinds["layers.0.ffn"].wider) == {"orthogonal"}
    _, opt = checked("OPT")
    assert set(opt.kinds["layers.0.ffn"].wider) == {"signed_permutation", "orthogonal"}
    actions = {key: b.moves[0].action for key, (b, *_) in checked("Llama")[0].layout.items() if "layers.0.mlp" in key}
    assert actions["model.layers.0.mlp.up_proj.weight"] == Action("primal", (1,), (1,))
    assert actions["model.layers.0.mlp.gate_proj.weight"] == Action("primal", (0,), (0,))


# -- what is wrong is found -------------------------------------------------------------------------------------------

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Small(nn.Module):
    """One group of each kind of map: a residual without a norm, and hidden units under some function."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.embed, self.up, self.down, self.head = (
            nn.Embedding(13, 6),
            nn.Linear(6, 5),
            nn.Linear(5, 6),
            nn.Linear(6, 13),
        )
        self.function, self.norm = function, norm or nn.Identity()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(self.norm(x + self.down(self.function(self.up(x)))))


def claimed(symmetry: Symmetry, group: str, kind: str) -> Symmetry:
    """The same symmetry with another kind for one group, acting by the side of each axis."""
    powers = {"primal": (1,), "dual": (-1,), "still": (0,)}
    scales, signs = kind == "scaled_permutation", kind == "signed_permutation"

    def act(action: Action | None) -> Action:
        assert action is not None
        power = powers[action.side]
        return Action(action.side, power if scales else (), (abs(power[0]),) if signs else ())

    layout = {
        key: tuple(
            replace(b, moves=tuple(replace(m, action=act(m.action)) if m.group == group else m for m in b.moves))
            for b in blocks
        )
        for key, blocks in symmetry.layout.items()
    }
    groups = tuple(replace(g, kind=kind) if g.name == group else g for g in symmetry.groups)
    return replace(symmetry, layout=layout, groups=groups)


@pytest.mark.parametrize(
    ("function", "norm", "group", "right", "wrong"),
    [
        (torch.nn.functional.gelu, None, "ffn", "permutation", "signed_permutation"),
        (torch.nn.functional.gelu, None, "ffn", "permutation", "scaled_permutation"),
        (torch.sin, None, "ffn", "signed_permutation", "scaled_permutation"),
        (torch.relu, None, "ffn", "scaled_permutation", "signed_permutation"),
        (torch.relu, None, "ffn", "scaled_permutation", "orthogonal"),
        (torch.relu, nn.LayerNorm(6), "residual", "permutation", "orthogonal_fixing_ones"),
        (torch.relu, nn.LayerNorm(6, elementwise_affine=False), "residual", "orthogonal_fixing_ones", "orthogonal"),
        (torch.relu, nn.RMSNorm(6), "residual", "signed_permutation", "orthogonal"),
        (torch.relu, nn.RMSNorm(6, elementwise_affine=False), "residual", "orthogonal", "invertible"),
    ],
)
def test_a_kind_too_large_is_found(
    function: Callable[[torch.Tensor], torch.Tensor], norm: nn.Module | None, group: str, right: str, wrong: str
) -> None:
    model = Small(function, norm).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry[group].kind == right
    assert gm.verify(model, symmetry, IDS, kinds=True).ok
    found = gm.verify(model, claimed(symmetry, group, wrong), IDS, kinds=True)
    assert not found.ok
    assert found.culprits == ()  # its permutations are right
    assert found.wrong_kinds == (group,)
    assert found.kinds[group].error > 1e-3
    message = rf"^a random {wrong.replace('_', ' ')} of {group} changes the outputs by .*\(allowed: 1e-08\)$"
    with pytest.raises(gm.NotEquivariant, match=message):
        found.require()


@pytest.mark.parametrize("tensor", ["embed.weight", "up.weight", "down.weight", "down.bias", "head.weight"])
def test_one_axis_on_the_wrong_side_is_found(tensor: str) -> None:
    """The dual for the primal on one axis of an invertible residual."""
    model = Small(torch.sin).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry["residual"].kind == "invertible"
    axis: Axis = next(a for a in symmetry["residual"].members if a.tensor == tensor)
    swapped = edited(
        symmetry, "residual", axis, [tensor], lambda m: replace(m, action=opposite("invertible", m.action or Action()))
    )
    found = gm.verify(model, swapped, IDS, kinds=True)
    assert found.wrong_kinds == ("residual",)


def test_a_kind_too_small_is_reported() -> None:
    model = Small(torch.sin).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    found = gm.verify(model, claimed(symmetry, "residual", "orthogonal"), IDS, kinds=True)
    assert found.ok
    assert found.kinds["residual"].cautious
    assert found.kinds["residual"].widened <= 1e-12


def test_a_group_of_one_axis_is_torn() -> None:
    """x·xᵀ with one table: a rotation of its columns, in all rows or it shows."""

    class Gram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(13, 6)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.table(ids) @ self.table.weight.mT

    model = Gram().eval()
    check = gm.verify(model, gm.trace(model, IDS).symmetry(), IDS, kinds=True).kinds["table"]
    assert check.kind == "orthogonal"
    assert check.error <= 1e-12
    assert check.broken > 1e-3
    assert check.wider["invertible"] > 1e-3


def test_a_check_that_sees_nothing_says_so() -> None:
    assert KindCheck("orthogonal", 0.0, broken=1e-5, wider={"invertible": 0.1}).untested
    assert not KindCheck("permutation", 0.0, None, {"orthogonal": 0.1}).untested


def test_a_spec_says_no_sides(tmp_path) -> None:
    model = Small(torch.sin).eval()
    gm.trace(model, IDS).symmetry().to_yaml(tmp_path / "small.yaml")
    spec = gm.load_spec(tmp_path / "small.yaml")
    assert gm.verify(model, spec, IDS).ok
    with pytest.raises(gm.InputError, match=r"how maps of 'residual' \(invertible\) act .*; derive it from the model"):
        gm.verify(model, spec, IDS, kinds=True)
