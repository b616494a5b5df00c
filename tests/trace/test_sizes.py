"""The trace is no accident of its inputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.sizes import trace_sizes
from tests.families import FAMILIES
from tests.modules import ln


@pytest.mark.parametrize("name", ["BLOOM", "GPT-NeoX"])
def test_an_example_of_length_one_frees_nothing(name: str) -> None:
    """At one position ALiBi is 0 and a rotary table does not vary."""
    family = FAMILIES[name]
    symmetry = gm.trace(family.model(), {"input_ids": torch.tensor([[3]])}).symmetry()
    assert symmetry.log_order() == pytest.approx(family.log_order, abs=1e-6)


def test_a_decoder_of_one_position_is_lengthened_too() -> None:
    family = FAMILIES["T5"]
    example = {"input_ids": torch.tensor([[3, 1, 4]]), "decoder_input_ids": torch.tensor([[0]])}
    lengths = [p.example.lengths for p in trace_sizes(family.model(), Inputs.of(example))]
    assert lengths == [(11,), (7,)]


class Learned(nn.Module):
    """Positions from a table of six; with ``whole`` only sequences of six will do."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.embed, self.places, self.head = nn.Embedding(13, 8), nn.Parameter(torch.randn(6, 8)), nn.Linear(8, 13)
        self.whole = whole

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(ids) + (self.places if self.whole else self.places[: ids.shape[1]]))


def test_lengths_that_the_model_refuses_are_left_out() -> None:
    model, six = Learned(whole=False), torch.tensor([[3, 1, 4, 1, 5, 9]])
    programs = trace_sizes(model, Inputs.of(six))
    assert [p.example.length for p in programs] == [5, 3]
    assert programs[0].notes == []
    assert gm.trace(model, six).symmetry().log_order() == pytest.approx(ln(8))


def test_one_length_only_is_said() -> None:
    model, six = Learned(whole=True), torch.tensor([[3, 1, 4, 1, 5, 9]])
    graph = gm.trace(model, six)
    assert graph.notes == ("traced at length 6 only: the model refuses others",)
    assert graph.symmetry().log_order() == pytest.approx(ln(8))


def test_inputs_that_no_length_suits() -> None:
    with pytest.raises(gm.TraceError, match="could not be traced"):
        gm.trace(Learned(whole=True), torch.tensor([[3, 1]]))


class Features(nn.Module):
    """(batch, length, 3) features; the mixing over positions is a table that is 0 at the first."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.head = nn.Linear(3, 8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.up(x)
        slopes = torch.arange(8).float() * torch.arange(x.shape[1])[:, None]
        return self.head(h + slopes)


def test_features_get_another_length_too() -> None:
    assert gm.trace(Features(), torch.rand(1, 1, 3)).symmetry().groups == ()


def test_features_of_one_size_are_traced_as_they_are() -> None:
    model = nn.Sequential(nn.Flatten(1), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 5))
    graph = gm.trace(model, torch.rand(1, 4, 3))
    assert graph.notes == ()
    assert graph.symmetry().log_order() == pytest.approx(ln(8))
