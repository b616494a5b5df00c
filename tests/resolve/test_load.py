"""Specs read for a model: packaged ones by name and by type, tied tensors under all names, and what does not fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from tests.spec.tiny_families import tiny


class Tied(nn.Module):
    """Two names of one embedding; ``config`` is whatever has attributes."""

    class config:  # noqa: N801
        model_type = "tied"
        width = 6

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(ids))


SPEC = "graphmerge: 1\ngroups: {residual: width}\ntensors: {embed.weight: _ residual}\n"


def test_one_name_of_a_tied_tensor_is_enough(tmp_path):
    path = tmp_path / "tied.yaml"
    path.write_text(SPEC)
    symmetry = gm.load_spec(path, Tied())
    assert symmetry.layout["head.weight"] == symmetry.layout["embed.weight"]
    assert [axis.tensor for axis in symmetry["residual"].members] == ["embed.weight", "head.weight"]
    assert symmetry.shapes["head.weight"] == (11, 6)
    assert gm.verify(Tied().eval(), symmetry, (torch.arange(22).reshape(2, 11) % 11,)).ok


def test_two_names_of_a_tied_tensor_must_agree(tmp_path):
    path = tmp_path / "tied.yaml"
    path.write_text(
        SPEC.replace("{embed.weight: _ residual}", "{embed.weight: _ residual, head.weight: (_5 + _6) residual}")
    )
    with pytest.raises(gm.SpecError, match=r"tied\.yaml:3:37: head\.weight and embed\.weight are one tensor"):
        gm.load_spec(path, Tied())


def test_sizes_need_the_model(tmp_path):
    path = tmp_path / "tied.yaml"
    path.write_text(SPEC)
    with pytest.raises(gm.SpecError, match=r"tied\.yaml:2:20: 'width' is no number, and there is no config"):
        gm.load_spec(path)


def test_packaged_by_name_and_by_type(tmp_path, monkeypatch):
    model = tiny("gpt2")
    assert gm.load_spec("gpt2", model) == gm.load_spec("packaged", model)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").write_text("graphmerge: 1\ngroups: {d: 15}\ntensors: {transformer.wte.weight: _ d}\n")
    assert [g.name for g in gm.load_spec("gpt2", model).groups] == ["d"]  # a file of that name comes first


def test_what_is_not_packaged():
    with pytest.raises(gm.SpecError, match="no spec is packaged for 'tied'; there are albert, bart, bert"):
        gm.load_spec("packaged", Tied())
    with pytest.raises(gm.SpecError, match=r"'bert' is for BertForMaskedLM and BertForSequenceClassification, not for"):
        gm.load_spec("bert", tiny("gpt2"))
    with pytest.raises(gm.SpecError, match="cannot read the spec brt: No such file"):
        gm.load_spec("brt", tiny("gpt2"))
    with pytest.raises(gm.SpecError, match=r"packaged bert\.yaml:.*'num_hidden_layers' is no number"):
        gm.load_spec("bert")


def test_a_tensor_that_the_model_lacks_is_named(tmp_path):
    path = tmp_path / "tied.yaml"
    path.write_text(SPEC.replace("embed.weight", "embd.weight"))
    with pytest.raises(gm.SpecError, match=r"tied\.yaml:3:11: the model has no tensor 'embd\.weight'; did you mean"):
        gm.load_spec(path, Tied())
