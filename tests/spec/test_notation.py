"""The notation for axes: what it means, what it refuses, and that it is written as it is read."""

import pytest

from graphmerge.spec.boxes import Vocabulary, boxes_of
from graphmerge.spec.express import NotExpressibleError, express
from graphmerge.spec.notation import Factor, Gap, Name, NotationError, Segment, fill, parse_axes, segments_of
from graphmerge.symmetry import UNKNOWN, Block, Group, Move, Run

WORDS = Vocabulary(
    {
        "a": Group("a", 2),
        "b": Group("b", 3, ("a",)),
        "c": Group("c", 4, ("held", "a")),
        "x": Group("x", 2),
        "pairs": Group("pairs", 6),
    },
    {"a": 2, "b": 3, "c": 4, "x": 2, "pairs": 6, "held": 2},
)


def axis(text: str):
    (node,) = parse_axes(text)
    return node


def size_of(name: Name) -> int:
    return WORDS.sizes[name.text]


def runs(text: str) -> list[Run]:
    return [segment.run for segment in segments_of(axis(text), size_of)[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [Run(0, (2,), (1,))]),
        ("(a b)", [Run(0, (2, 3), (3, 1))]),
        ("a + b", [Run(0, (2,), (1,)), Run(2, (3,), (1,))]),
        ("(a b) + (a c)", [Run(0, (2, 3), (3, 1)), Run(6, (2, 4), (4, 1))]),
        ("(a (b + c))", [Run(0, (2, 3), (7, 1)), Run(3, (2, 4), (7, 1))]),
        ("(a (b + _1))", [Run(0, (2, 3), (4, 1)), Run(3, (2,), (4,))]),
        ("-4 + b", [Run(4, (3,), (1,))]),
        ("_1", [Run(0, (), ())]),
        ("_", [Run(0, (UNKNOWN,), (1,))]),
        ("((a b) _5)", [Run(0, (2, 3, 5), (15, 5, 1))]),
    ],
)
def test_units_of_an_axis(text, expected):
    assert runs(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "(a b)",
        "a + b + a",
        "(a (b + b + c))",
        "(a (b + -4))",
        "-4 + (a (_1 + b)) + _3",
        "(a _2 (b + (c a)) b)",
        "_",
        "_12",
        "pairs/0:2 + pairs/1:3",
        "(a b@2)",
        "`two words` + c@1,2",
        "model.layers.{l}.x",
        "block-1 + _name",
    ],
)
def test_written_as_it_is_read(text):
    assert str(axis(text)) == text


@pytest.mark.parametrize(
    "text", ["a", "(a b c)", "(a (b + c + b))", "-3 + (a (_1 + b)) + (c -2) + _5", "((a + b) (a + c))"]
)
def test_express_finds_an_axis_with_the_same_segments(text):
    length, segments = segments_of(axis(text), size_of)
    assert segments_of(express(segments, length, Gap), size_of) == (length, segments)


def test_express_refuses_what_is_no_sum_of_products():
    interleaved = [Segment(0, (Factor(2, 2, None),)), Segment(1, (Factor(3, 2, None),))]
    with pytest.raises(NotExpressibleError):
        express(interleaved, 6, Gap)
    with pytest.raises(NotExpressibleError):
        express([Segment(2, (Factor(3, 1, None),))], 4, Gap)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("a (b c", "this '(' is never closed; end it with ')'", 2),
        ("a b) c", "this ')' closes nothing; remove it", 3),
        ("a + + b", "expected a name, '_' or '(' here", 4),
        ("a +", "expected a name, '_' or '(' here", 3),
        ("a ()", "nothing stands in these parentheses; remove them", 2),
        ("x (a b + c)", "a sum in a product needs parentheses of its own: (a (b + c)) or (a b) + c", 7),
        ("a (b _)", "a part of an axis needs its size: write '_3' for 3 fixed units", 5),
        ("a _0", "'_0' has no units: write a size of 1 or more", 2),
        ("a b@x", "cannot read '@x'; axes are written with names, '_', '+' and '( )'", 3),
    ],
)
def test_what_is_no_notation(text, message, column):
    with pytest.raises(NotationError) as error:
        parse_axes(text)
    assert (str(error.value), error.value.column) == (message, column)


def test_letters_are_filled_in():
    assert str(fill(axis("(h.{l} (x.{l}.{e} + _3))"), {"l": 3, "e": 0})) == "(h.3 (x.3.0 + _3))"
    assert str(fill(axis("h.{other}"), {"l": 3})) == "h.{other}"


def blocks(text: str, first_row: int = 0) -> list[Block]:
    return [box.block for box in boxes_of(parse_axes(text), WORDS, first_row)[1]]


def test_boxes_are_the_joint_choices_of_segments():
    assert blocks("(a b) + _4 x") == [
        Block((Run(0, (2, 3), (3, 1)), Run(0, (2,), (1,))), (Move("a", (0,)), Move("b", (1,), (0,)), Move("x", (2,)))),
        Block((Run(6, (4,), (1,)), Run(0, (2,), (1,))), (Move("x", (1,)),)),
    ]
    assert [b.runs[0].offset for b in blocks("x + -2 + x", 10)] == [10, 14]


def test_a_base_is_the_one_on_the_same_axis_unless_told():
    assert blocks("(a b) a")[0].moves[1] == Move("b", (1,), (0,))
    assert blocks("(a a) b@2")[0].moves[2] == Move("b", (2,), (1,))
    assert blocks("(held c@1,2) (a a)")[0].moves[0] == Move("c", (1,), (0, 3))


def test_parts_of_pairs_are_one_move():
    assert blocks("pairs/1:3 (a pairs/0:2)")[0].moves == (Move("pairs", (2, 0)), Move("a", (1,)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a q", "no group is called 'q'; declare it under 'groups'"),
        ("x b", "'b' is over 'a', which does not stand in the same block; write (a b)"),
        ("(a a) b", "2 factors may choose for 'b': write b@1 for the first"),
        ("a b@2", "b@2 asks for number 2 of the factors 'a', but there are 1 in this block; count from 1"),
        ("a b@1,1", "'b' is over a, but '@' lists 2"),
        ("pairs/0:2 a", "the parts of 'pairs' make 2 of its 6 units"),
        ("pairs/0:2 pairs/1:2", "the parts of 'pairs' make 2×2 of its 6 units"),
        ("pairs/1:3 pairs/1:2", "every part of 'pairs' must stand in the tensor as often as the others"),
    ],
)
def test_boxes_that_make_no_sense(text, message):
    with pytest.raises(NotationError) as error:
        blocks(text)
    assert str(error.value) == message
