"""Specs that change what is derived: pins and ties proved, releases measured, and what breaks the function refused."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.spec import spec_text
from tests.spec.tiny_families import tiny

HEAD = "graphmerge: 1\nderive: true\n"


@pytest.fixture
def read(tmp_path):
    def load(model, text, inputs=None):
        path = tmp_path / "short.yaml"
        path.write_text(HEAD + text)
        return gm.load_spec(path, model, inputs)

    return load


@pytest.fixture(scope="module")
def bert():
    return tiny("bert")


def test_pins(read, bert):
    derived = gm.trace(bert).symmetry()
    symmetry = read(bert, "pin: [layers.*.heads, residual]\n")
    assert [g.name for g in symmetry.groups] == [f"layers.{k}.{r}" for k in (0, 1) for r in ("qk", "v", "ffn")]
    assert symmetry["layers.1.v"].over == ("layers.1.heads",)
    held = {pin.name: pin for pin in symmetry.pinned if pin.reason == "pinned by a spec"}
    assert held["layers.0.heads"].axes == derived["layers.0.heads"].members
    assert gm.verify(bert, symmetry).ok
    found = gm.check(bert, symmetry, reference=derived)
    assert found.sound
    assert str(found.missing_freedom[0]) == "residual (15 units) does not move"
    assert len(found.missing_freedom) == 3


def test_ties(read, bert):
    symmetry = read(bert, "tie:\n  - layers.*.ffn\n  - ['layers.{l}.qk', 'layers.{l}.v']\n")
    assert [g.name for g in symmetry.groups] == [
        "residual", "layers.0.heads", "layers.0.qk", "layers.0.ffn", "layers.1.heads", "layers.1.qk"
    ]  # fmt: skip
    assert gm.verify(bert, symmetry).ok
    assert {a.tensor for a in symmetry["layers.0.ffn"].members} >= {
        f"bert.encoder.layer.{k}.intermediate.dense.bias" for k in (0, 1)
    }
    found = gm.check(bert, symmetry)
    assert "layers.1.v (5 units over layers.1.heads) moves only together with layers.1.qk, as layers.1.qk" in {
        str(freedom) for freedom in found.missing_freedom
    }


def test_renames(read, bert):
    symmetry = read(bert, "rename: {'layers.{l}.heads': 'blocks.{l}.h', residual: stream}\n")
    assert symmetry["layers.1.qk"].over == ("blocks.1.h",)
    found = gm.compare(symmetry, gm.trace(bert).symmetry())
    assert found.equal
    assert found.names["stream"] == "residual"
    text = spec_text(symmetry)
    assert '  layers.{l}.qk: {size: 5, over: "blocks.{l}.h", kind: invertible}' in text


class Mirrored(nn.Module):
    """A constant identity matrix pins the feed-forward, although permuting both of its axes leaves it as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.up = nn.Embedding(11, 6), nn.Linear(6, 7)
        self.down, self.head = nn.Linear(7, 6), nn.Linear(6, 5)
        self.register_buffer("mirror", torch.eye(7), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(torch.relu(self.up(x)) @ self.mirror))


IDS = (torch.arange(18).reshape(2, 9) % 11,)


def test_a_release_that_holds(read):
    torch.manual_seed(0)
    model = Mirrored().eval()
    derived = gm.trace(model, IDS).symmetry()
    assert [g.size for g in derived.groups] == [6]
    symmetry = read(model, "release: {ffn: ['up.weight[0]', 'down.weight[1]']}\n", IDS)
    assert [(g.name, g.size) for g in symmetry.groups] == [(derived.groups[0].name, 6), ("ffn", 7)]
    assert [str(axis).split()[0] for axis in symmetry["ffn"].members] == [
        "up.weight[0]",
        "up.bias[0]",
        "down.weight[1]",
    ]
    found = gm.verify(model, symmetry, IDS)
    assert found.ok
    assert found.untested == ()
    with pytest.raises(gm.SpecError, match=r"yaml:3:11: releasing 'half' changes the outputs by \d\.\de-0\d \("):
        read(model, "release: {half: ['up.weight[0]']}\n", IDS)


def test_a_release_that_breaks_is_refused_with_its_error(read, bert):
    text = "release:\n  words: bert.embeddings.word_embeddings.weight[0]\n"
    with pytest.raises(gm.SpecError) as error:
        read(bert, text)
    said = re.fullmatch(
        r".*yaml:4:3: releasing 'words' changes the outputs by (\d\.\de[+-]\d\d) \(allowed: 1e-09\); leave it pinned",
        str(error.value),
    )
    assert said is not None
    assert float(said[1]) > 1e-2
    with torch.device("meta"):
        shapes = type(bert)(bert.config).eval()
    with pytest.raises(gm.SpecError, match="what is released is measured, which needs a model with weights"):
        read(shapes, text)


def test_dimensions_that_a_rotary_table_holds_may_not_be_released_over_heads(read):
    model = tiny("llama")
    place = "model.layers.0.self_attn"
    axes = f"['{place}.q_proj.weight[0] (3 2 (_5 + -5))', '{place}.k_proj.weight[0] (3 (_5 + -5))']"
    with pytest.raises(gm.SpecError, match="releasing 'turned' changes the outputs by"):
        read(model, f"release: {{turned: {{axes: {axes}, over: layers.0.heads}}}}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pin: layers.0.fnn\n", "3:6: no group is called 'layers.0.fnn'; did you mean 'layers.0.ffn'?"),
        ("pin: [nothing]\n", "3:7: no group is called 'nothing'; the groups are residual, layers.0.heads"),
        ("tie: [[layers.0.ffn, residual]]\n", "3:8: layers.0.ffn has 7 units, residual has 15; they cannot be tied"),
        (
            "tie: [layers.*.qk]\n",
            "3:7: layers.0.qk is over layers.0.heads, layers.1.qk is over layers.1.heads; tie",
        ),
        ("tie: [layers.0.ffn]\n", "3:7: a tie needs two names, as in [layers.0.ffn, layers.1.ffn], or one with a *"),
        ("tie: [['layers.{l}.qk', layers.0.v]]\n", "3:7: names that are tied must have the same letters"),
        ("release: {x: 'bert.pooler[0]'}\n", "3:14: nothing pins bert.pooler[0]; see the pins of a derived spec"),
        ("release: {x: bert}\n", "3:14: 'bert' is no axis; write it like lm_head.weight[0]"),
        ("release: {residual: 'cls.predictions.bias[0]'}\n", "3:11: 'residual' is a group already; take another name"),
        ("release: {x: {axes: 'cls.predictions.bias[0]', over: y}}\n", "3:11: no group is called 'y'"),
        ("release: {x: {over: y}}\n", "3:14: a release needs axes, such as ['lm_head.weight[0]']"),
        ("rename: {'layers.{l}.ffn': ffn}\n", "3:28: {l} must stand in the old name and in the new one"),
        ("rename: {'layers.*.ffn': ffn}\n", "3:10: a rename has letters in place of *"),
        ("rename: {'layers.0.ffn': residual}\n", "3:10: two groups would be called 'residual'; take another name"),
        (
            "groups: {}\n",
            "3:1: unknown key 'groups'; a spec may have graphmerge, derive, model, pin, tie, release, rename",
        ),
        ("pins: []\n", "3:1: unknown key 'pins'; did you mean 'pin'?"),
    ],
)
def test_what_cannot_be_changed(read, bert, text, message):
    with pytest.raises(gm.SpecError) as error:
        read(bert, text)
    assert message in str(error.value)


def test_it_needs_a_model(tmp_path):
    path = tmp_path / "short.yaml"
    path.write_text(HEAD)
    with pytest.raises(gm.SpecError, match="this spec changes what is derived from a model; give the model too"):
        gm.load_spec(path)
    path.write_text(HEAD.replace("true", "no"))
    with pytest.raises(gm.SpecError, match="2:9: 'derive' is true, for a spec that changes what is derived"):
        gm.load_spec(path, Mirrored())
