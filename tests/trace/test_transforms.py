"""``vmap`` in a forward pass."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.trace.capture import Way, _attempt, _recorded, _traced_fake, _traced_real, state_of
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.outputs import choose_outputs

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Mapped(nn.Module):
    """Scores of two tokens by a function that is mapped over both, and reads a tensor that it is not given."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(13, 6), nn.Linear(6, 13)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)[0]
        scale = x.mean(0)

        def score(a: torch.Tensor, b: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
            return torch.where(i >= j, (a * b * scale).sum(), 0.0)

        places = torch.arange(len(x))
        rows = torch.vmap(score, in_dims=(None, 0, None, 0))
        scores = torch.vmap(rows, in_dims=(0, None, 0, None))(x, x, places, places)
        return self.head(scores @ x)


@pytest.mark.parametrize("way", [_recorded, _traced_fake, _traced_real])
def test_what_is_mapped_is_written_out(way: Way) -> None:
    """As plain ops, in which what the function reads from outside is known."""
    torch.manual_seed(0)
    model, mapped = Mapped().eval(), torch.vmap
    with torch.no_grad():
        graph, names = _attempt(model, Inputs.of(IDS), lambda out: choose_outputs(out, None), way)
        state = state_of(model)
        given = [state.get(names[n.name], IDS) for n in graph.graph.nodes if n.op == "placeholder"]
        (found,) = torch.fx.Interpreter(graph).run(*given, enable_io_processing=False)
        torch.testing.assert_close(found, model(IDS))
    assert torch.vmap is torch.func.vmap is mapped


def test_a_symmetry_goes_through_it() -> None:
    torch.manual_seed(0)
    model = Mapped().eval()
    graph = gm.trace(model, IDS)
    assert not graph.notes
    symmetry = graph.symmetry()
    assert [g.size for g in symmetry.groups] == [6]
    assert gm.verify(model, symmetry, IDS).ok


def test_a_transform_that_is_not_written_out_is_refused() -> None:
    """One that was named before: nothing computed inside of it is known, which must not look like constants."""
    hidden = torch.vmap

    class Hidden(Mapped):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = self.embed(ids)[0]
            return self.head(hidden(lambda a: a * a.sum())(x))

    with pytest.raises(gm.TraceError, match="inside of a transform"):
        gm.trace(Hidden().eval(), IDS)
