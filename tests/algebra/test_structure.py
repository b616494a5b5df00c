"""Stage 1: what cuts and factors two structures have in common, against a list of units for each choice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmerge.algebra import structure
from graphmerge.algebra.structure import Choice, Conflict, Structures
from tests.algebra.solved import symmetry_of, system_of, tensors_text


def units(choice: Choice) -> np.ndarray:
    """The units that a choice stands for, one dimension a factor."""
    found = np.full((), choice.offset)
    for size, stride in choice.factors:
        found = found[..., None] + np.arange(size) * stride
    return found


def factors(s: Structures, node: int) -> list[tuple[int, ...]]:
    """Sizes of the factors of each choice, units left out."""
    return [tuple(n for n, _ in choice.factors if n > 1) for choice in s.choices(node)]


def test_a_view_splits_row_major() -> None:
    s = Structures()
    axis = s.atom(12)
    s.unify(axis, s.product([s.atom(2), s.atom(6)]))
    s.unify(axis, s.product([s.atom(4), s.atom(3)]))
    assert s.choices(axis) == (Choice(0, ((2, 6), (2, 3), (3, 1))),)


def test_slices_cut() -> None:
    s = Structures()
    axis = s.atom(9)
    s.unify(axis, s.sum([s.atom(2), s.atom(7)]))
    s.unify(axis, s.sum([s.atom(5), s.atom(4)]))
    assert [(c.offset, c.factors) for c in s.choices(axis)] == [(0, ((2, 1),)), (2, ((3, 1),)), (5, ((4, 1),))]


def test_a_cut_at_whole_rows_goes_to_the_outer_factor() -> None:
    s = Structures()
    axis, inner = s.atom(12), s.atom(3)
    s.unify(axis, s.product([s.atom(4), inner]))
    s.unify(axis, s.sum([s.atom(6), s.atom(6)]))
    assert factors(s, axis) == [(2, 3), (2, 3)]
    assert [c.offset for c in s.choices(axis)] == [0, 6]


def test_a_cut_of_the_inner_factor_goes_through_every_row() -> None:
    s = Structures()
    axis, inner = s.atom(12), s.atom(3)
    s.unify(axis, s.product([s.atom(4), inner]))
    s.unify(inner, s.sum([s.atom(1), s.atom(2)]))
    assert [(c.offset, c.factors) for c in s.choices(axis)] == [(0, ((4, 3), (1, 1))), (1, ((4, 3), (2, 1)))]


@pytest.mark.parametrize(
    "make",
    [
        lambda s, axis: s.unify(s.product([s.atom(2), s.atom(3)]), s.product([s.atom(3), s.atom(2)])),
        lambda s, axis: s.unify(s.product([s.atom(2), s.atom(3)]), s.sum([s.atom(2), s.atom(4)])),
        lambda s, axis: s.unify(axis, s.atom(5)),
    ],
    ids=["factors", "a cut through rows", "sizes"],
)
def test_no_common_refinement(make) -> None:
    s = Structures()
    with pytest.raises(Conflict):
        make(s, s.atom(6))


def test_an_axis_of_too_many_boxes_is_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "MAX_CHOICES", 8)
    s = Structures()
    halves = [s.sum([s.atom(1), s.atom(1)]) for _ in range(4)]
    assert len(s.choices(s.product(halves[:3]))) == 8
    assert s.choices(s.product(halves)) == (Choice(0, ((16, 1),)),)


def test_and_what_needs_its_parts_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "MAX_CHOICES", 3)
    equations = ("(r c) -> r c: p q", "[0+s+2] c -> s c: q a", "r [0+s+1] -> r s: q b", "f -> f: p u")
    shapes = {"p": (9,), "q": (3, 3), "u": (9,), "w": (4,)}
    system = system_of(shapes, (*equations, "f: w"), {"a": (1, 3), "b": (3, 2)}, sizes={"r": 3, "c": 3})
    assert tensors_text(symmetry_of(system)) == {"w": "a"}


def test_sizes_of_1_and_empty_parts_vanish() -> None:
    s = Structures()
    a = s.atom(4)
    assert s.product([s.atom(1), a]) == a
    assert s.sum([s.atom(0), a]) == a


@st.composite
def forms(draw: st.DrawFn, size: int, depth: int = 2) -> tuple:
    """("*", ...) or ("+", ...) over sizes, nested."""
    if depth == 0 or size == 1 or draw(st.booleans()):
        return (size,)
    if draw(st.booleans()):
        divisors = [n for n in range(1, size + 1) if size % n == 0]
        first = draw(st.sampled_from(divisors))
        return ("*", draw(forms(first, depth - 1)), draw(forms(size // first, depth - 1)))
    first = draw(st.integers(1, size - 1))
    return ("+", draw(forms(first, depth - 1)), draw(forms(size - first, depth - 1)))


def build(s: Structures, form: tuple) -> int:
    if len(form) == 1:
        return s.atom(form[0])
    return (s.product if form[0] == "*" else s.sum)([build(s, f) for f in form[1:]])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_both_sides_see_the_same_boxes_and_each_unit_once(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([2, 3, 4, 6, 8, 12]))
    s = Structures()
    nodes = [build(s, data.draw(forms(size))) for _ in range(3)]
    try:
        for a, b in itertools.pairwise(nodes):
            s.unify(a, b)
    except Conflict:
        return
    assert s.choices(nodes[0]) == s.choices(nodes[1]) == s.choices(nodes[2])
    seen = np.concatenate([units(choice).reshape(-1) for choice in s.choices(nodes[0])])
    assert sorted(seen.tolist()) == list(range(size))
