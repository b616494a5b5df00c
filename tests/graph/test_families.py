"""Every family: the groups by name, the log-order by formula, and the proof by numbers."""

from __future__ import annotations

import warnings

import pytest

import graphmerge as gm
from graphmerge.verify import verify
from tests.families import FAMILIES, traced
from tests.modules import VARIANTS, ln, variant

BOTH = [name for name, family in FAMILIES.items() if len(family.attention) > 1]


@pytest.mark.parametrize("name", FAMILIES)
def test_groups(name: str) -> None:
    symmetry = traced(name).symmetry()
    assert {g.name: (g.size, g.over) for g in symmetry.groups} == FAMILIES[name].groups


@pytest.mark.parametrize("name", FAMILIES)
def test_log_order(name: str) -> None:
    assert traced(name).symmetry().log_order() == pytest.approx(FAMILIES[name].log_order, abs=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_unknown(name: str) -> None:
    graph = traced(name)
    assert graph.unknown == ()
    assert graph.notes == ()


@pytest.mark.parametrize("name", BOTH)
def test_attention_written_out_has_the_same_groups(name: str) -> None:
    fused, eager = (traced(name, attention).symmetry() for attention in ("sdpa", "eager"))
    assert [(g.name, g.size, g.over, g.kind, g.members) for g in eager.groups] == [
        (g.name, g.size, g.over, g.kind, g.members) for g in fused.groups
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_proved(name: str) -> None:
    found = verify(FAMILIES[name].model(), traced(name).symmetry())
    assert found.max_error <= 1e-9
    assert found.untested == ()


@pytest.mark.parametrize("name", VARIANTS)
def test_custom_modules(name: str) -> None:
    model, ids, log_order = variant(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        symmetry = gm.trace(model, ids).symmetry()
    assert symmetry.log_order() == pytest.approx(log_order, abs=1e-9)
    found = verify(model, symmetry, ids)
    assert found.max_error <= 1e-9
    assert found.untested == ()


def test_heads_that_alibi_pins_are_a_named_pin() -> None:
    pins = [p for p in traced("BLOOM").symmetry().pinned if p.name == "layers.0.heads"]
    assert [p.size for p in pins] == [3]
    assert "varies along it" in pins[0].reason


def test_grouped_queries_with_one_query_head_a_key_head() -> None:
    """GPT-NeoX has K = H: no group of query heads."""
    assert not [g for g in traced("GPT-NeoX").symmetry().groups if g.name.endswith("query_heads")]


def test_copies_count_in_the_order() -> None:
    """BERT's v is H · ln D! a layer."""
    symmetry = traced("BERT").symmetry()
    assert symmetry.copies("layers.0.v") == 3
    assert symmetry.log_order() - ln(21) == pytest.approx(2 * (ln(10) + ln(3) + 6 * ln(7)))
