"""Names of groups: role from structure, index from the module path, never by the names that the modules bear."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphmerge as gm
from tests.families import traced

IDS = torch.tensor([[3, 1, 4, 1, 5]])


class Block(nn.Module):
    """Attention and feed-forward under names that say nothing."""

    def __init__(self, width: int, wides: tuple[int, ...] = (5,)) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.w1, self.w2 = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.into = nn.ModuleDict({f"part{k}": nn.Linear(width, wide) for k, wide in enumerate(wides)})
        self.back = nn.ModuleDict({f"part{k}": nn.Linear(wide, width) for k, wide in enumerate(wides)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (p.unflatten(-1, (2, -1)).transpose(1, 2) for p in self.w1(self.n1(x)).chunk(3, -1))
        weights = (q @ k.mT).softmax(-1)
        x = x + self.w2((weights @ v).transpose(1, 2).flatten(2))
        for part in self.into:
            x = x + self.back[part](self.into[part](self.n2(x)).relu())
        return x


class Model(nn.Module):
    def __init__(self, **lists: nn.ModuleList) -> None:
        super().__init__()
        self.emb, self.out = nn.Embedding(13, 6), nn.Linear(6, 13)
        self.towers = list(lists)
        for name, blocks in lists.items():
            self.add_module(name, blocks)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.emb(ids)
        for name in self.towers:
            for block in getattr(self, name):
                x = block(x)
        return self.out(x)


def names(model: nn.Module) -> set[str]:
    return {g.name for g in gm.trace(model.eval(), IDS).symmetry().groups}


def blocks(count: int, wides: tuple[int, ...] = (5,)) -> nn.ModuleList:
    return nn.ModuleList([Block(6, wides) for _ in range(count)])


ROLES = ("heads", "qk", "v", "ffn")


def test_roles_come_from_structure() -> None:
    expected = {"residual", *(f"layers.{k}.{role}" for k in range(2) for role in ROLES)}
    assert names(Model(whatever=blocks(2))) == expected


def test_stacks_are_told_apart_by_their_module() -> None:
    expected = {"residual", *(f"{stack}.0.{role}" for stack in ("front", "rear") for role in ROLES)}
    assert names(Model(front=blocks(1), rear=blocks(1))) == expected


def test_two_feed_forwards_of_a_layer_are_told_apart_by_theirs() -> None:
    expected = {"residual", "layers.0.part0.ffn", "layers.0.part1.ffn", "layers.0.heads", "layers.0.qk", "layers.0.v"}
    assert names(Model(stack=blocks(1, (5, 4)))) == expected


def test_without_layers_a_role_stands_alone() -> None:
    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emb, self.block, self.out = nn.Embedding(13, 6), Block(6), nn.Linear(6, 13)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.out(self.block(self.emb(ids)))

    assert names(Alone()) == {"residual", *ROLES}


class Halves(nn.Module):
    """Two halves of one projection that are used differently: nothing tells them apart but a number."""

    def __init__(self) -> None:
        super().__init__()
        self.emb, self.up, self.out = nn.Embedding(13, 6), nn.Linear(6, 8), nn.Linear(8, 13)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        a, b = self.up(self.emb(ids)).chunk(2, -1)
        return self.out(torch.cat([a.sin(), b.relu()], -1))


def test_what_nothing_tells_apart_gets_numbers() -> None:
    assert names(Halves()) == {"emb", "up", "up_2"}


def test_a_space_without_role_is_named_after_its_writer() -> None:
    assert "bert.pooler.dense" in traced("BERT with a classifier").symmetry().by_name
    assert "albert.embeddings.word_embeddings" in traced("ALBERT").symmetry().by_name


def test_spaces_with_one_writer_are_named_after_what_only_they_have() -> None:
    """Mamba's x_proj writes both the state and the rank of dt."""
    found = set(traced("Mamba").symmetry().by_name)
    assert {"layers.0.mixer.A_log", "layers.0.mixer.dt_proj"} <= found


@pytest.mark.parametrize("name", ["BERT", "T5", "Mixtral"])
def test_one_residual_and_no_name_twice(name: str) -> None:
    symmetry = traced(name).symmetry()
    given = [g.name for g in symmetry.groups] + [p.name for p in symmetry.pinned if p.name]
    assert given.count("residual") == 1
    assert len(given) == len(set(given))
