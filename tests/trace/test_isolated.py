"""Copies of modules around the same tensors."""

from __future__ import annotations

import copy
from typing import Any

import torch
import transformers as hf
from torch import nn

from graphmerge.trace.isolated import isolated


class Caches(nn.Module):
    """Keeps things of many kinds on itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.again = self.inner
        self.blocks = [nn.Linear(2, 2), self.inner]  # modules that are not registered, and one that is
        self.cache: dict[Any, Any] = {}
        self.nested = {"a": [1, {"b": {2}}]}
        self.table = torch.arange(3.0)
        self.inner.register_forward_hook(lambda *_: None)


class SaysHow(nn.Linear):
    """Has a way of its own of being copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> SaysHow:
        made = SaysHow(self.in_features, self.out_features)
        made.weight, made.bias, made.copied = self.weight, self.bias, True  # type: ignore[assignment]
        return made


def test_nothing_but_tensors_is_shared() -> None:
    model = Caches()
    made = isolated(model)
    made.cache["x"] = 1
    made.nested["a"][1]["b"].add(3)
    made.inner.extra = 1  # type: ignore[assignment]
    assert model.cache == {}
    assert model.nested == {"a": [1, {"b": {2}}]}
    assert not hasattr(model.inner, "extra")
    assert made.inner.weight is model.inner.weight
    assert made.again is made.inner is made.blocks[1]
    assert made.blocks[0] is not model.blocks[0]
    assert len(made.inner._forward_hooks) == 1


def test_a_class_that_says_how_it_is_copied_is_asked() -> None:
    model = nn.Sequential(SaysHow(2, 2), nn.ReLU())
    made = isolated(model)
    assert made[0].copied
    assert made[0].weight is model[0].weight


def test_as_deepcopy_would() -> None:
    model = hf.BertForMaskedLM(hf.BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3))
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    ours, theirs = isolated(model), copy.deepcopy(model, dict(tensors))
    for a, b in zip(ours.modules(), theirs.modules(), strict=True):
        assert type(a) is type(b)
        assert list(a.__dict__) == list(b.__dict__)
    assert ours.config is not model.config
    assert ours.bert.config is ours.config
    assert [id(p) for p in ours.parameters()] == [id(p) for p in model.parameters()]


def test_what_cannot_be_copied_is_used_itself() -> None:
    model = nn.Linear(2, 2)
    model.stream = (x for x in "ab")  # type: ignore[assignment]
    assert isolated(model) is model
