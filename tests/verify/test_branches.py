"""Models that look at their data before they decide what to do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.trace import sizes
from graphmerge.verify import branches

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Forked(nn.Module):
    """One of two feed-forward blocks, by the sign of a mean."""

    def __init__(self, told_apart: bool = False) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(13, 6), nn.Linear(6, 3)
        self.up, self.left, self.right = nn.Linear(6, 5), nn.Linear(5, 6), nn.Linear(5, 6)
        self.slope = torch.arange(5) if told_apart else torch.ones(5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        hidden = self.up(x).sin()
        if x.mean() > 0:
            return self.head(x + self.left(hidden))
        return self.head(x + self.right(hidden * self.slope).cos())


class EarlyExit(nn.Module):
    """Layers until the head is sure."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(13, 6), nn.Linear(6, 3)
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 6)) for _ in range(3))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = x + layer(x)
            if self.head(x).softmax(-1).amax() > 0.8:
                break
        return self.head(x)


class Ponder(nn.Module):
    """One layer as often as a number says that is computed on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head, self.step = nn.Embedding(13, 6), nn.Linear(6, 3), nn.Linear(6, 6)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for _ in range(1 + int(x.abs().mean() * 3)):
            x = x + self.step(x).tanh()
        return self.head(x)


@pytest.mark.parametrize("kind", [Forked, EarlyExit, Ponder])
def test_other_branches_are_run(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = kind().eval()
    graph = gm.trace(model, IDS)
    assert any("depends on values" in note for note in graph.notes)
    found = gm.verify(model, graph.symmetry(), IDS)
    assert found.branches is not None
    assert found.branches.paths >= 2
    assert found.branches.max_error <= 1e-9
    assert found.ok
    assert {g.size for g in graph.symmetry().groups} >= {6}


def test_the_groups_are_those_of_all_branches() -> None:
    """Hidden units that one branch tells apart are pinned, whichever branch the given weights take."""
    torch.manual_seed(0)
    graph = gm.trace(Forked(told_apart=True).eval(), IDS)
    assert [g.size for g in graph.symmetry().groups] == [6]
    assert any("(ways: 2)" in note for note in graph.notes)


def test_a_branch_that_breaks_the_symmetry_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A derivation that followed only the branch in which all hidden units are alike."""
    monkeypatch.setattr(sizes, "DRAWS", 0)
    torch.manual_seed(0)
    model = Forked(told_apart=True).eval()
    with torch.no_grad():
        model.embed.weight.abs_()
    symmetry = gm.trace(model, IDS).symmetry()
    assert 5 in {g.size for g in symmetry.groups}
    found = gm.verify(model, symmetry, IDS)
    assert found.max_error <= 1e-9
    assert found.branches is not None
    assert found.branches.max_error > 1e-3
    assert not found.ok
    with pytest.raises(gm.NotEquivariant, match="control flow depends on data: 8 runs of the model itself took 2"):
        found.require()


def test_a_model_that_decides_nothing_has_no_branches() -> None:
    model = nn.Sequential(nn.Embedding(13, 6), nn.Linear(6, 3)).eval()
    assert gm.verify(model, gm.trace(model, IDS).symmetry(), IDS).branches is None


class IdsDecide(nn.Module):
    """Which branch is taken depends on the ids alone, as checks of placeholder tokens do."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        if bool((ids == 7).any()):
            x = x.tanh()
        return self.head(x)


def test_ids_alone_decide_alike_for_all_weights() -> None:
    model, ids = IdsDecide().eval(), (torch.tensor([[1, 7, 3, 5, 2]]),)
    graph = gm.trace(model, ids)
    assert any("of ids alone" in note for note in graph.notes)
    found = gm.verify(model, graph.symmetry(), ids)
    assert found.ok
    assert found.branches is None


class HalfPrecise(Forked):
    """Tensors that say their own precision, as a decoder's first state does."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(1, 5, 6, dtype=torch.float32)
        state[:] = self.embed(ids).float()
        hidden = self.up(state).sin()
        if state.mean() > 0:
            return self.head(state + self.left(hidden))
        return self.head(state + self.right(hidden).cos())


def test_branches_run_in_double_precision_throughout() -> None:
    torch.manual_seed(0)
    model = HalfPrecise().eval()
    found = gm.verify(model, gm.trace(model, IDS).symmetry(), IDS)
    assert found.branches is not None
    assert found.branches.failed == 0
    assert found.branches.max_error <= 1e-12
    assert torch.get_default_dtype() == torch.float32


def test_a_model_that_takes_no_drawn_weights_is_not_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Forked().eval()
    symmetry = gm.trace(model, IDS).symmetry()

    def refuse(*_: object) -> None:
        raise ValueError("these weights are none")

    monkeypatch.setattr(branches, "_run", refuse)
    with pytest.raises(gm.TraceError, match=r"none of the weights drawn \(these weights are none\)"):
        gm.verify(model, symmetry, IDS)
