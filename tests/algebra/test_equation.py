"""Equations as text: reading, showing, and every way in which one does not fit its tensors."""

from __future__ import annotations

import pytest

from graphmerge.algebra import Equation, EquationError, Term, Window, equation
from graphmerge.algebra.equation import drop_units, length_of, letter_of


def test_letters_are_axes() -> None:
    eq = equation("b i, o i -> b o", ["x", "w", "y"], [(2, 3), (5, 3), (2, 5)])
    assert eq.terms == (
        Term("x", (("b",), ("i",))), Term("w", (("o",), ("i",))), Term("y", (("b",), ("o",)))
    )  # fmt: skip
    assert eq.sizes == {"b": 2, "i": 3, "o": 5}
    assert eq.pins == {}


def test_dots_are_the_leading_axes_counted_from_the_right() -> None:
    eq = equation("... i, o i -> ... o", ["x", "w", "y"], [(7, 2, 3), (5, 3), (7, 2, 5)])
    assert str(eq) == ".1 .0 i, o i -> .1 .0 o"
    assert equation("... i, ... i -> ...", ["x", "y", "z"], [(7, 2, 3), (3,), (7, 2)]).terms[1].axes == (("i",),)


def test_an_axis_of_size_1_is_broadcast() -> None:
    eq = equation("h d, h d -> h d", ["x", "g", "y"], [(2, 3), (1, 3), (2, 3)])
    assert eq.terms[1].axes == ((), ("d",))
    assert eq.sizes == {"h": 2, "d": 3}


def test_products_pins_and_virtual_terms() -> None:
    eq = equation("t! (h d) -> t h d | t h", ["x", "y"], [(5, 6), (5, 2, 3)], {"h": 2, "d": 3}, reason="because")
    assert eq.pins == {"t": "because"}
    assert eq.terms[0].axes == (("t",), ("h", "d"))
    assert eq.terms[2] == Term(None, (("t",), ("h",)))
    assert str(eq) == "t! (h d) -> t! h d | t! h"
    assert equation("... k -> ... k | ...", ["x", "y"], [(5, 6), (5, 6)]).terms[2] == Term(None, ((".0",),))


def test_units_vanish_from_products() -> None:
    eq = equation("(h d) -> h d", ["x", "y"], [(3,), (1, 3)], {"h": 1, "d": 3})
    assert eq.terms[0].axes == (("d",),)
    assert drop_units(("a",), {"a": 1}) == ("a",)
    assert drop_units(("a", "b"), {"a": 1, "b": 1}) == ("a",)


def test_windows_are_shown() -> None:
    shown = Equation((Term("x", ((Window("a", 2, 9),),)), Term("y", (("a",),))), {"a": 3})
    assert str(shown) == "(_ + a + _) -> a"
    assert letter_of(Window("a", 2, 9)) == "a"
    assert length_of(Window("a", 2, 9), {"a": 3}) == 9


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("a b -> a", [(2, 3)], "2 terms for 1 tensors"),
        ("a b -> a", [(2, 3, 4), (2,)], "'a b' has 2 axes, the tensor 3"),
        ("... a b -> a", [(2,), (2,)], "has 3 axes, the tensor 1|has 2 axes, the tensor 1"),
        ("a -> a", [(2,), (3,)], "axis .* has length 3, the tensor 2"),
        ("(a b) -> a b", [(7,), (2, 3)], "has length 6, the tensor 7"),
        ("(a b) -> a b", [(1,), (2, 3)], "has length 6, the tensor 1"),
    ],
)
def test_does_not_fit(text: str, shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(EquationError, match=message):
        equation(text, ["x", "y"][: len(shapes)], shapes)
