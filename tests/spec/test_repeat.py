"""Templates: folding finds them, expanding gives the same texts in the same order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphmerge.spec.notation import LETTER, fill_text
from graphmerge.spec.repeat import Letters, expand, fold


def letters_of(text: str) -> set[str]:
    return set(LETTER.findall(text))


def folded(texts):
    letters = Letters(taken=set())
    return fold(texts, letters), letters.ranges()


def unfolded(templates, ranges):
    return [fill_text(text, numbers) for text, numbers in expand(templates, letters_of, ranges)]


@pytest.mark.parametrize(
    ("texts", "templates", "ranges"),
    [
        (["h.0.w", "h.1.w", "h.2.w"], ["h.{l}.w"], {"l": range(3)}),
        (["h.0", "h.1"], ["h.{l}"], {"l": range(2)}),
        (["3.weight", "4.weight"], ["{l}.weight"], {"l": range(3, 5)}),
        (["e", "h.0.a", "h.0.b", "h.1.a", "h.1.b", "f"], ["e", "h.{l}.a", "h.{l}.b", "f"], {"l": range(2)}),
        # two loops in a row need two letters, or they would be one
        (["h.0.a", "h.1.a", "h.0.b", "h.1.b"], ["h.{l}.a", "h.{l2}.b"], {"l": range(2), "l2": range(2)}),
        (["h.0.a", "h.1.a", "x", "h.0.b", "h.1.b"], ["h.{l}.a", "x", "h.{l}.b"], {"l": range(2)}),
        # the first layer is another
        (["h.0.a", "h.0.x", "h.1.a", "h.2.a"], ["h.0.a", "h.0.x", "h.{l}.a"], {"l": range(1, 3)}),
        (
            [f"h.{layer}.{text}" for layer in range(3) for text in ("a", "e.0.w", "e.0.v", "e.1.w", "e.1.v")],
            ["h.{l}.a", "h.{l}.e.{e}.w", "h.{l}.e.{e}.v"],
            {"l": range(3), "e": range(2)},
        ),
        # numbers that are no component of a name stay: sizes, ranges, parts of words
        (["a _3", "a _4"], ["a _3", "a _4"], {}),
        (["0..3", "0..4"], ["0..3", "0..4"], {}),
        (["conv1.w", "conv2.w"], ["conv1.w", "conv2.w"], {}),
        (["h.01.w", "h.02.w"], ["h.01.w", "h.02.w"], {}),
        (["h.0.w", "h.2.w"], ["h.0.w", "h.2.w"], {}),
        # both numbers must run together
        (["h.0.w g.1", "h.1.w g.2"], ["h.0.w g.1", "h.1.w g.2"], {}),
        (["h.0.w g.5", "h.1.w g.5"], ["h.{l}.w g.5"], {"l": range(2)}),
    ],
)
def test_fold(texts, templates, ranges):
    assert folded(texts) == (templates, ranges)
    assert unfolded(templates, ranges) == texts


name = st.lists(st.sampled_from(["a", "b", "0", "1", "2", "3"]), min_size=1, max_size=4).map(".".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(name, max_size=12))
def test_expanding_undoes_folding(texts):
    assert unfolded(*folded(texts)) == texts


def test_letters_that_the_texts_use_are_left_alone():
    letters = Letters(taken={"l"})
    assert fold(["{l}.0.w", "{l}.1.w"], letters) == ["{l}.{l2}.w"]


def test_a_long_model_folds_quickly():
    texts = [f"h.{layer}.{part}" for layer in range(200) for part in ("a", "b", "c", "d", "e", "f", "g")]
    assert folded(texts)[0] == [f"h.{{l}}.{part}" for part in ("a", "b", "c", "d", "e", "f", "g")]
