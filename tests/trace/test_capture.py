"""One forward pass as a graph: places of nodes, meta models, what data decides, and a model left as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import transformers as hf
from torch import nn

import graphmerge as gm
from graphmerge.trace.capture import capture
from graphmerge.trace.inputs import Inputs
from graphmerge.trace.outputs import choose_outputs
from graphmerge.verify import verify
from tests.families import FAMILIES, traced
from tests.modules import ln, variant

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Depends(nn.Module):
    """A feed-forward whose hidden units go through ``middle``, which looks at values."""

    def __init__(self, middle: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.embed, self.up, self.down, self.head = (
            nn.Embedding(13, 6),
            nn.Linear(6, 8),
            nn.Linear(8, 6),
            nn.Linear(6, 13),
        )
        self.middle = middle

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return self.head(x + self.down(self.middle(self.up(x).tanh())))


def branch(h: torch.Tensor) -> torch.Tensor:
    return h * 2 if h.mean() > -2 else h


def branch_on_last_unit(h: torch.Tensor) -> torch.Tensor:
    return h * 2 if h[0, 0, -1] > -2 else h


def number(h: torch.Tensor) -> torch.Tensor:
    return h * float(h.abs().amax().item() > 0)


def outside(h: torch.Tensor) -> torch.Tensor:
    return h + h.data.mean()


@pytest.mark.parametrize(
    ("middle", "left"), [(branch, ln(8)), (branch_on_last_unit, ln(7)), (number, ln(8)), (outside, ln(8))]
)
def test_what_depends_on_values_is_followed_and_said(middle: Callable[..., torch.Tensor], left: float) -> None:
    torch.manual_seed(0)
    model = Depends(middle).eval()
    graph = gm.trace(model, IDS)
    assert len(graph.notes) == 1
    ways = "it was followed once" if middle is outside else "of 7 draws of weights and inputs every way"
    assert graph.notes[0].startswith(f"the forward pass depends on values: {ways}")
    symmetry = graph.symmetry()
    assert symmetry.log_order() == pytest.approx(ln(6) + left)
    assert verify(model, symmetry, IDS).ok


def test_what_depends_on_values_needs_them() -> None:
    with pytest.raises(gm.TraceError, match=r"ValueRead: aten\.is_nonzero\.default depends on values"):
        gm.trace(Depends(branch).to("meta"), IDS)


def test_a_model_that_cannot_run_says_why() -> None:
    with pytest.raises(gm.TraceError, match=r"could not be traced: TypeError: .*argument"):
        gm.trace(Depends(branch), {"tokens": IDS})


@pytest.mark.parametrize("name", ["BERT", "Llama", "T5"])
def test_weights_are_not_needed(name: str) -> None:
    with torch.device("meta"):
        model = FAMILIES[name].model()
    assert next(model.parameters()).is_meta
    there, here = gm.trace(model).symmetry(), traced(name).symmetry()
    assert there.groups == here.groups
    assert there.layout == here.layout


def test_a_meta_table_is_pinned_and_said() -> None:
    model = FAMILIES["GPT-NeoX"].model().to("meta")  # even the rotary table has no values
    graph = gm.trace(model)
    assert any("rotary_emb.inv_freq is on the meta device, without values" in note for note in graph.notes)
    assert graph.symmetry().log_order() <= traced("GPT-NeoX").symmetry().log_order()


def test_nodes_know_their_module_and_line() -> None:
    model, ids, _ = variant("fused qkv with unbind")
    graph, _, notes = capture(model, Inputs.of(ids), choose_outputs)
    places = {n.name: n.meta["graphmerge"] for n in graph.graph.nodes if n.op == "call_function"}
    assert notes == []
    assert places["scaled_dot_product_attention"][0] == "layers.0"
    assert places["linear"][0] == "layers.0.qkv"
    assert places["add"][0] == ""
    assert all(source.startswith("modules.py:") for _, source in places.values())


class Caches(nn.Module):
    """Keeps a table on itself the first time it runs, as many position embeddings do."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head, self.table = nn.Embedding(13, 6), nn.Linear(6, 13), None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if self.table is None:
            self.table = torch.arange(ids.shape[1])[:, None].float()
        return self.head(self.embed(ids) + self.table.cos())


def test_the_model_is_left_as_it_was() -> None:
    model = Caches().train()
    gm.trace(model, IDS)
    assert model.table is None
    assert model.training
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    assert torch.isfinite(model(IDS)).all()


def test_training_mode_and_caches_play_no_part() -> None:
    config = hf.GPT2Config(vocab_size=13, n_positions=17, n_embd=6, n_layer=1, n_head=2, n_inner=5)
    model = hf.GPT2LMHeadModel(config).train()
    symmetry = gm.trace(model).symmetry()
    assert model.config.use_cache is True
    assert model.training
    assert {p.reason for p in symmetry.pinned} == {"look-up by aten.embedding.default"}


def test_weights_shared_between_modules_are_one_tensor() -> None:
    model = FAMILIES["ALBERT"].model()
    members = traced("ALBERT").symmetry()["layers.0.ffn"].members
    assert len(members) == len({(a.tensor, a.axis) for a in members}) == 3
    assert verify(model, traced("ALBERT").symmetry()).ok
