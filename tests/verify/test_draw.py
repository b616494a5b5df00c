"""Weights and inputs drawn for the check."""

from __future__ import annotations

import torch
from torch import nn

import graphmerge as gm
from graphmerge.trace.capture import state_of
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.sizes import trace_once
from graphmerge.verify.draw import draw_inputs, draw_weights, padded, vocabularies
from tests.families import FAMILIES


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(13, 6), nn.BatchNorm1d(6), nn.Linear(6, 13)
        self.register_buffer("table", torch.arange(6.0))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.embed(ids).flatten(0, 1)) * self.table)


def test_weights_hide_nothing_and_tables_stay() -> None:
    model = Net().eval()
    program = trace_once(model, Inputs.of(torch.tensor([[1, 2, 3]])))
    drawn = draw_weights(program, state_of(model), torch.Generator().manual_seed(0))
    assert set(drawn) == set(state_of(model))
    assert torch.equal(drawn["table"], model.table)
    assert drawn["norm.running_var"].gt(0).all()
    for name, tensor in drawn.items():
        if name not in ("table", "norm.num_batches_tracked"):
            assert tensor.dtype == torch.float64
            assert len(tensor.unique()) == tensor.numel(), name
    again = draw_weights(program, state_of(model), torch.Generator().manual_seed(0))
    assert all(torch.equal(drawn[k], again[k]) for k in drawn)


def test_ids_do_not_repeat_and_fit_their_table() -> None:
    model = Net().eval()
    program = trace_once(model, Inputs.of(torch.tensor([[1, 1, 1, 1]])))
    assert vocabularies(program) == {"0": 13}
    ids = draw_inputs(program, torch.Generator().manual_seed(0))["0"]
    assert len(ids.unique()) == 4
    assert ids.max() < 13


def test_the_last_position_is_masked_where_the_model_takes_a_mask() -> None:
    bert = FAMILIES["BERT"].model()
    mask = padded(bert, default_inputs(bert)).kwargs["attention_mask"]
    assert mask.tolist() == [[1] * 10 + [0]]
    own = Inputs.of({"input_ids": torch.ones(1, 4).long(), "attention_mask": torch.tensor([[0, 1, 1, 1]])})
    assert padded(bert, own).kwargs["attention_mask"].tolist() == [[0, 1, 1, 0]]
    assert own.kwargs["attention_mask"].tolist() == [[0, 1, 1, 1]]  # the given one stays
    plain = Inputs.of(torch.tensor([[1, 2, 3]]))
    assert padded(Net(), plain) is plain


def test_pictures_come_from_their_own_range() -> None:
    vit = FAMILIES["ViT"].model()
    program = trace_once(vit, default_inputs(vit))
    pixels = draw_inputs(program, torch.Generator().manual_seed(0))["pixel_values"]
    assert pixels.shape == (1, 3, 8, 8)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_an_empty_input_stays() -> None:
    class Features(nn.Module):
        def forward(self, x: torch.Tensor, extra: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, extra], -1)

    program = trace_once(Features(), Inputs.of((torch.rand(1, 4, 3), torch.rand(1, 4, 0))))
    drawn = draw_inputs(program, torch.Generator().manual_seed(0))
    assert [tuple(t.shape) for t in drawn.values()] == [(1, 4, 3), (1, 4, 0)]


def test_the_public_door() -> None:
    model = Net().eval()
    ids = torch.tensor([[1, 2, 3]])
    assert gm.verify(model, gm.trace(model, ids).symmetry(), ids).ok


def test_an_empty_matrix() -> None:
    """A projection to the difference of two sizes that are equal here."""
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 0), nn.Linear(0, 4)).eval()
    assert gm.verify(model, gm.trace(model, torch.tensor([[1, 2, 3]])).symmetry(), torch.tensor([[1, 2, 3]])).ok


class Pictures(nn.Module):
    """Token 2 stands for a part of a picture: as many of them as there are parts."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.see, self.head = nn.Embedding(13, 6), nn.Linear(4, 6), nn.Linear(6, 13)

    def forward(self, ids: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        x[ids == 2] = self.see(parts)
        return self.head(x.tanh())


def test_ids_that_stand_for_something_else_stay_where_others_do_not_fit() -> None:
    torch.manual_seed(0)
    model, inputs = Pictures().eval(), (torch.tensor([[1, 2, 2, 5, 2, 7]]), torch.randn(3, 4))
    symmetry = gm.trace(model, inputs).symmetry()
    assert [g.size for g in symmetry.groups] == [6]
    assert gm.verify(model, symmetry, inputs).ok
