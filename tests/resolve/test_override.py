"""Specs that change what is derived: pins and ties proved, releases measured, and what breaks the function refused."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.spec import spec_text
from tests.resolve.malformed import MALFORMED_OVERRIDES
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


MEASURED = r"\d\.\de[+-]\d\d"


@pytest.mark.parametrize("entry", MALFORMED_OVERRIDES, ids=lambda entry: entry.error[:60])
def test_every_mistake_is_reported_where_it_stands(bert, tmp_path, entry):
    path = tmp_path / "short.yaml"
    path.write_text(entry.text)
    with pytest.raises(gm.SpecError) as error:
        gm.load_spec(path, bert)
    said = str(error.value).replace(f"{path}:", "")
    assert re.split(MEASURED, said) == re.split(MEASURED, entry.error)
    sizes = [[float(number) for number in re.findall(MEASURED, text)] for text in (said, entry.error)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.5)


def test_the_table_has_every_mistake_once():
    assert len({entry.text for entry in MALFORMED_OVERRIDES}) == len(MALFORMED_OVERRIDES)


def test_pins_may_be_named_twice_and_in_any_order(read, bert):
    once = read(bert, "pin: [residual, layers.*.heads, layers.1.qk]\n")
    again = read(bert, "pin: [layers.1.qk, layers.1.*k, layers.*.heads, residual, residual]\n")
    assert spec_text(again) == spec_text(once)
    assert [g.name for g in once.groups] == ["layers.0.qk", "layers.0.v", "layers.0.ffn", "layers.1.v", "layers.1.ffn"]


def test_it_needs_a_model(tmp_path):
    path = tmp_path / "short.yaml"
    path.write_text(HEAD)
    with pytest.raises(gm.SpecError, match="this spec changes what is derived from a model; give the model too"):
        gm.load_spec(path)
    path.write_text(HEAD.replace("true", "no"))
    with pytest.raises(gm.SpecError, match="2:9: 'derive' is true, for a spec that changes what is derived"):
        gm.load_spec(path, Mirrored())
