"""Readers of a tensor that was only spread out are not tied to each other by it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.trace.capture import capture
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.outputs import choose_outputs
from graphmerge.trace.repeat import repeat_spread
from tests.modules import ln

IDS = torch.tensor([[3, 1, 4, 1, 5]])
STREAMS = 4


class Streams(nn.Module):
    """Two weighted sums over copies of an embedding; ``filled`` makes the copies differ first."""

    def __init__(self, filled: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(13, 3), nn.Linear(3, 13)
        self.first, self.second = nn.Parameter(torch.rand(STREAMS)), nn.Parameter(torch.rand(STREAMS))
        self.bias = nn.Parameter(torch.rand(STREAMS)) if filled else None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)[:, :, None].expand(-1, -1, STREAMS, -1).contiguous()
        if self.bias is not None:
            x = x * self.bias[:, None]
        first, second = (self.first[:, None] * x).sum(2), (self.second[:, None] * x.mT.mT).sum(2)
        return self.head(first * second.sin())


@pytest.mark.parametrize(("filled", "streams"), [(False, 2), (True, 1)])
def test_each_reader_of_copies_has_an_order_of_its_own(filled: bool, streams: int) -> None:
    torch.manual_seed(0)
    model = Streams(filled).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry.log_order() == pytest.approx(ln(3) + streams * ln(STREAMS))
    assert gm.certify(model, IDS, symmetry).complete


class Columns(nn.Module):
    """A projection of copies, which only adds up its columns; ``inner`` puts the copies last."""

    def __init__(self, inner: bool) -> None:
        super().__init__()
        self.embed, self.head, self.inner = nn.Embedding(13, 3), nn.Linear(3 * STREAMS, 5), inner

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)[:, :, None].expand(-1, -1, STREAMS, -1)
        return self.head((x.mT if self.inner else x).flatten(2).float())


@pytest.mark.parametrize("inner", [False, True])
def test_columns_that_read_copies_trade_places_for_each_output_alone(inner: bool) -> None:
    torch.manual_seed(0)
    model = Columns(inner).eval()
    symmetry = gm.trace(model, IDS).symmetry()
    assert symmetry.log_order() == pytest.approx(ln(3) + 5 * 3 * ln(STREAMS))
    assert gm.certify(model, IDS, symmetry).complete


@pytest.mark.parametrize("model", [Streams(filled=False), Columns(inner=False), Columns(inner=True)])
def test_the_graph_computes_the_same_and_keeps_its_names(model: nn.Module) -> None:
    model.eval()
    graph, _, _ = capture(model, Inputs.of(IDS), choose_outputs)
    repeated = repeat_spread(graph)
    names, more = ([n.name for n in g.graph.nodes] for g in (graph, repeated))
    assert set(names) < set(more)
    held = [IDS if n.meta["val"].dtype == torch.int64 else torch.rand(n.meta["val"].shape)
            for n in graph.graph.nodes if n.op == "placeholder"]  # fmt: skip
    with torch.no_grad():
        assert torch.allclose(graph(*held)[0], repeated(*held)[0], atol=1e-5)
    assert repeat_spread(repeated) is repeated
