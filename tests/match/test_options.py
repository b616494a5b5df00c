"""Every option of the study on statistics whose answer is known: what it is said to do shows, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.errors import InputError
from graphmerge.match.activations import activation_terms
from graphmerge.match.options import MatchOptions
from graphmerge.stats import Moments, Slot, Tap, TapStatistics
from graphmerge.stats.share import drawn_share
from graphmerge.stats.watch import Site
from tests.match.specs import MODELS, batches, bert, gpt2

UNITS = 8
P, Q = (np.random.default_rng(seed).permutation(UNITS) for seed in (1, 2))


class Table(nn.Module):
    """What a linear layer reads is written in a table: one row of units for every id."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.embed, self.down = nn.Embedding.from_pretrained(table), nn.Linear(UNITS, 3)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.down(self.embed(input_ids))


def found_in(a: nn.Module, b: nn.Module, data, name: str | None = None, **options) -> np.ndarray:
    """The permutation that is found for the one group of tables."""
    symmetry = gm.trace(a, (data[0]["input_ids"],)).symmetry()
    name = name or symmetry.groups[0].name
    similarity = options.pop("similarity", "correlation")
    found = gm.match(
        a, b, symmetry, "activations", data, groups=name, similarity=similarity, options=MatchOptions(**options)
    )
    return found.permutations.arrays[name]


def drawn(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, UNITS, generator=torch.Generator().manual_seed(seed))


def undone(p: np.ndarray) -> list[int]:
    """B's unit i is A's unit p[i]: where A's units come from in B."""
    return list(np.argsort(p))


def test_absolute_values():
    """B's units are A's in another order, with their signs turned."""
    a = drawn(40)
    data = [{"input_ids": torch.arange(40).reshape(5, 8)}]
    models = Table(a), Table(-a[:, P])
    assert list(found_in(*models, data, absolute=True)) == undone(P)
    assert list(found_in(*models, data)) != undone(P)


def test_similarities_by_hand():
    x, y = drawn(50, 1) * 3 + 1, drawn(50, 2) - 2
    site = Tap(Site("w", 0, "input"), (Slot("g"),), (UNITS,), (), (), ())
    read = [TapStatistics(site, Moments.of(x, y))]
    a, b = x.double().numpy(), y.double().numpy()
    expected = {
        "correlation": np.corrcoef(a, b, rowvar=False)[:UNITS, UNITS:],
        "covariance": np.cov(a, b, rowvar=False, bias=True)[:UNITS, UNITS:],
        "inner_product": a.T @ b / 50,
    }
    for name, t in expected.items():
        for absolute in (False, True):
            (term,) = activation_terms(read, name, absolute)
            assert np.allclose(term.t, np.abs(t) if absolute else t, atol=1e-4)
            assert (term.t < 0).any() != absolute


SPECIAL, PLAIN = range(0, 20), range(20, 60)  # ids of which the tables are told apart


def two_orders(strong: float) -> tuple[Table, Table]:
    """B has the units of A in the order Q for special ids, which are ``strong``, and in the order P for all others."""
    a = drawn(60)
    a[: len(SPECIAL)] *= strong
    b = a[:, P].clone()
    b[: len(SPECIAL)] = a[: len(SPECIAL), Q]
    return Table(a), Table(b)


def rows_beginning_with_special(count: int = 20) -> list[dict[str, torch.Tensor]]:
    rng = torch.Generator().manual_seed(3)
    first = torch.arange(count)[:, None] % len(SPECIAL)
    rest = torch.randint(PLAIN[0], PLAIN[-1] + 1, (count, 7), generator=rng)
    return [{"input_ids": torch.cat([first, rest], 1)}]


def test_special_tokens_are_left_out():
    models, data = two_orders(strong=30), rows_beginning_with_special()
    assert list(found_in(*models, data)) == undone(Q)
    assert list(found_in(*models, data, special_tokens=False, special_ids=SPECIAL)) == undone(P)


def test_the_first_position_stands_for_the_row():
    models, data = two_orders(strong=0.1), rows_beginning_with_special()
    assert list(found_in(*models, data)) == undone(P)
    assert list(found_in(*models, data, level="cls")) == undone(Q)


@pytest.mark.parametrize("level", ["mean", "max"])
def test_pooled_rows(level):
    """Of every row's two positions one has a topic, in the order P; what else they hold, in the order Q, is much more,
    but nothing in the mean (opposites) or for the largest value (all below)."""
    topic, noise = drawn(40, 4), 30 * drawn(1, 5).abs()
    a, b = [], []
    for k in range(40):
        for sign in (1, -1):
            if level == "mean":
                swing = 30 * drawn(1, 100 + k)[0] * sign
                a.append(topic[k] + swing)
                b.append(topic[k][P] + swing[Q])
            else:
                low = -noise[0] * (1 + abs(drawn(1, 100 + k)[0]))
                a.append(topic[k] if sign == 1 else low)
                b.append(topic[k][P] if sign == 1 else low[Q])
    models = Table(torch.stack(a)), Table(torch.stack(b))
    data = [{"input_ids": torch.arange(80).reshape(40, 2)}]
    assert list(found_in(*models, data)) == undone(Q)
    assert list(found_in(*models, data, level=level)) == undone(P)


def test_padding_is_pooled_by_no_level():
    a = drawn(10)
    a[0] = 100 * torch.arange(UNITS)
    models = Table(a), Table(torch.cat([a[:1], a[1:, P]]))
    ids = torch.tensor([[k, 0, 0] for k in range(1, 10)])
    data = [{"input_ids": ids, "attention_mask": (ids != 0).long()}]
    for level in ("cls", "max", "mean"):
        assert list(found_in(*models, data, level=level)) == undone(P)


def test_a_share_is_the_match_on_the_rows_that_are_drawn():
    (model, symmetry), other = gpt2(), gpt2()[0]
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    data = batches()

    def worth(rows, **options) -> float:
        found = gm.match(
            model, other, symmetry, "activations", rows, groups="ffn", seed=7, options=MatchOptions(**options)
        )
        return found.history[0]

    some = worth(data, share=0.25)
    assert some == worth(drawn_share(data, 0.25, seed=7))
    assert some != worth(data)
    assert worth(data, share=0.001) == worth(drawn_share(data, 0.001, seed=7)) != some


class Stream(nn.Module):
    """A residual that is read twice: what the first table writes, and then with what the second adds to it."""

    def __init__(self, early: torch.Tensor, late: torch.Tensor) -> None:
        super().__init__()
        self.early, self.late = (nn.Embedding.from_pretrained(table) for table in (early, late))
        self.first, self.second = nn.Linear(UNITS, 3), nn.Linear(UNITS, 5)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.early(input_ids)
        seen = self.first(x)
        return seen, self.second(x + self.late(input_ids))


def test_the_residual_is_matched_by_its_first_or_its_last_reading():
    early, late = drawn(60, 1), 30 * drawn(60, 2)
    models = Stream(early, late), Stream(early[:, P], late[:, Q])
    data = [{"input_ids": torch.arange(60).reshape(6, 10)}]
    names = [g.name for g in gm.trace(models[0], (data[0]["input_ids"],)).symmetry().groups]
    assert names == ["residual"]
    assert list(found_in(*models, data, "residual", residual_features="first")) == undone(P)
    assert list(found_in(*models, data, "residual", residual_features="last")) == undone(Q)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("options", [{"residual_features": k} for k in ("first", "last")] + [
    {"head_features": k} for k in ("query_key", "value", "both")
] + [{"level": k} for k in ("mean", "max", "cls")] + [{"absolute": True}, {"share": 0.5}], ids=str)  # fmt: skip
def test_a_planted_element_is_recovered_whatever_the_features(name, options):
    model, symmetry = MODELS[name]()
    p = symmetry.random(3)
    found = gm.match(
        model, p.apply(model), symmetry, "activations", batches(8), groups="*", options=MatchOptions(**options)
    )
    assert found.permutations == p.inverse()


def apart() -> tuple[nn.Module, nn.Module, gm.Symmetry, gm.Permutations, gm.Permutations]:
    """BERT of one layer, and another whose queries and keys are moved by one element, its values by another one.

    Scores are next to 0, so that what heads look at is the same for all: the values' sum is moved as the values are.
    """
    model, symmetry = bert(layers=1)
    for key, parameter in model.named_parameters():
        if "query" in key or "key" in key:
            parameter.data *= 1e-3
    of_scores, of_values = symmetry.random(1, ("layers.0.heads", "layers.0.qk")), symmetry.random(2)
    of_values = symmetry.random(4, ("layers.0.heads", "layers.0.v"))
    scores, values = (p.apply(model).state_dict() for p in (of_scores, of_values))
    other = bert(layers=1)[0]
    other.load_state_dict({k: scores[k] if "query" in k or ".key." in k else values[k] for k in values})
    return model, other, symmetry, of_scores.inverse(), of_values.inverse()


def test_heads_are_told_apart_by_what_is_asked_for():
    model, other, symmetry, of_scores, of_values = apart()
    heads, qk, v = (f"layers.0.{name}" for name in ("heads", "qk", "v"))
    assert not np.array_equal(of_scores.arrays[heads], of_values.arrays[heads])

    def arrays(features: str) -> dict[str, np.ndarray]:
        found = gm.match(
            model, other, symmetry, "activations", batches(8), groups="attention",
            options=MatchOptions(head_features=features),  # type: ignore[arg-type]
        )  # fmt: skip
        assert set(found.groups) == {heads, qk, v}
        return dict(found.permutations.arrays)

    by_values, by_scores = arrays("value"), arrays("query_key")
    assert np.array_equal(by_values[heads], of_values.arrays[heads])
    assert np.array_equal(by_values[v], of_values.arrays[v])
    assert np.array_equal(by_scores[heads], of_scores.arrays[heads])
    assert np.array_equal(by_scores[qk], of_scores.arrays[qk])


def test_heads_in_place():
    """What is inside is found, and the heads stay though they were moved."""
    model, symmetry = bert()
    inner = tuple(name for name in symmetry.by_name if name.endswith(("qk", "v")))
    p = symmetry.random(1, inner)
    for method, data in (("activations", batches(8)), ("weights", None)):
        found = gm.match(
            model, p.apply(model), symmetry, method, data, groups="heads", options=MatchOptions(heads="in_place")
        )
        assert found.permutations == p.inverse()
        assert found.groups == inner
        moved = symmetry.random(2, (*inner, "layers.0.heads")).apply(model)
        still = gm.match(model, moved, symmetry, method, data, groups="*", options=MatchOptions(heads="in_place"))
        assert list(still.permutations.arrays["layers.0.heads"]) == [0, 1, 2]
        assert not {"layers.0.heads", "layers.1.heads"} & set(still.groups)


def test_heads_in_place_where_groups_are_chosen():
    model, symmetry = bert()
    inner = tuple(name for name in symmetry.by_name if name.endswith(("qk", "v")))
    other = symmetry.random(1, (*inner, "residual")).apply(model)
    found = gm.match(model, other, symmetry, "activations", batches(6), options=MatchOptions(heads="in_place"))
    assert found.permutations == symmetry.random(1, (*inner, "residual")).inverse()
    assert "heads" in found.notes[-1]
    assert not [name for name in found.groups if name.endswith("heads")]


def test_what_is_the_same_for_all_is_what_it_was():
    """The options' defaults are the call without options."""
    (model, symmetry), other = gpt2(), gpt2()[0]
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    plain, asked = (
        gm.match(model, other, symmetry, "activations", batches(), groups="*", **options)  # type: ignore[arg-type]
        for options in ({}, {"options": MatchOptions()})
    )
    assert plain.permutations == asked.permutations
    assert plain.history == asked.history


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "sentence"}, "level 'sentence' is unknown; it is one of token, cls, max, mean"),
        ({"level": "means"}, "level 'means' is unknown; it is one of token, cls, max, mean; did you mean 'mean'?"),
        ({"heads": "permute"}, "it is one of permuted, in_place, ignored; did you mean 'permuted'?"),
        ({"residual_features": "lst"}, "did you mean 'last'?"),
        ({"head_features": "values"}, "it is one of both, query_key, value; did you mean 'value'?"),
        ({"share": 0}, "share is 0; it lies between 0.001 and 1"),
        ({"share": 1.5}, "share is 1.5; it lies between 0.001 and 1"),
        ({"share": float("nan")}, "share is nan; it lies between 0.001 and 1"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(InputError) as error:
        MatchOptions(**options)
    assert message in str(error.value)


ABOUT = "is about activations, and matching by weights reads none"


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("weights", {"residual_features": "last"}, f"residual_features {ABOUT}"),
        ("weights", {"absolute": True}, f"absolute {ABOUT}"),
        ("weights", {"level": "max"}, f"level {ABOUT}"),
        ("weights", {"head_features": "value"}, f"head_features {ABOUT}"),
        ("weights", {"special_tokens": False, "special_ids": (1,)}, f"special_tokens {ABOUT}"),
        ("identity", {"heads": "in_place"}, "matching by identity moves no heads"),
        ("weights", {"share": 0.5}, "share is a share of the calibration data, and there is none"),
        ("activations", {"heads": "in_place", "head_features": "value"}, "with heads: in_place none are matched"),
        ("activations", {"level": "cls", "special_tokens": False, "special_ids": (1,)}, "level: cls reads a special"),
        ("activations", {"special_ids": (1,)}, "special_ids name what special_tokens: false leaves out"),
        ("activations", {"special_tokens": False}, "special_tokens: false needs special_ids"),
        ("activations", {"residual_features": "first", "groups": "ffn"}, "needs a residual that takes part; there are"),
        ("activations", {"head_features": "value", "groups": "ffn"}, "needs heads that take part; there are"),
        ("activations", {"heads": "in_place", "groups": "ffn"}, "needs heads that take part; there are layers.0.ffn"),
        ("activations", {"special_tokens": False, "special_ids": range(29)}, "labels -100 or ids special everywhere"),
    ],
)
def test_what_means_nothing_is_refused(method, options, message):
    model, symmetry = gpt2()
    groups = options.pop("groups", None)
    data = batches(1) if method == "activations" else None
    with pytest.raises(InputError) as error:
        gm.match(model, model, symmetry, method, data, groups=groups, options=MatchOptions(**options))
    assert message in str(error.value)


def test_similarity_is_refused_where_nothing_is_similar():
    model, symmetry = gpt2()
    with pytest.raises(InputError, match=f"similarity {ABOUT}"):
        gm.match(model, model, symmetry, similarity="covariance")


def test_special_tokens_need_ids():
    model = Table(drawn(9))
    symmetry = gm.trace(model, (torch.arange(6).reshape(2, 3),)).symmetry()
    with pytest.raises(InputError, match="special_tokens: false needs batches with ids"):
        gm.match(
            model, model, symmetry, "activations", [(torch.arange(6).reshape(2, 3),)],
            options=MatchOptions(special_tokens=False, special_ids=(1,)),
        )  # fmt: skip


def test_heads_without_queries_and_keys_are_refused():
    """Nothing of what tells heads apart by queries and keys is there: they do not take part."""
    model, symmetry = gpt2()
    layout = {key: blocks for key, blocks in symmetry.layout.items() if "c_attn" not in key}
    groups = tuple(g for g in symmetry.groups if not g.name.endswith("qk"))
    bare = gm.Symmetry(groups, symmetry.pinned, layout, {key: symmetry.shapes[key] for key in layout})
    with pytest.raises(InputError, match=r"head_features: query_key leaves layers\.0\.heads, layers\.1\.heads without"):
        gm.match(model, model, bare, "activations", batches(1), groups="heads",
                 options=MatchOptions(head_features="query_key"))  # fmt: skip


def test_the_options_are_written_down():
    model, symmetry = gpt2()
    found = gm.match(model, model, symmetry, "activations", batches(1), options=MatchOptions(level="max"))
    assert json.loads(found.to_json())["options"]["level"] == "max"


def test_options_by_name():
    model, symmetry = gpt2()
    found = gm.match(model, model, symmetry, "activations", batches(1), options={"level": "max"})
    assert found.options == MatchOptions(level="max")
    with pytest.raises(InputError, match=r"option 'levl' is unknown; .*; did you mean 'level'"):
        gm.match(model, model, symmetry, "activations", batches(1), options={"levl": "max"})
