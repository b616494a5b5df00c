"""Every error of the table, to the letter; and files of any kind end in a spec or in one SpecError."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from graphmerge.errors import SpecError
from graphmerge.spec import parse_spec
from graphmerge.spec.overrides import parse_overrides
from graphmerge.spec.quantities import Quantities, QuantityError
from graphmerge.spec.target import Target
from tests.errors_page import PAGE, page
from tests.fuzz import jumbled, slipped
from tests.resolve.malformed import MALFORMED_OVERRIDES
from tests.spec.malformed import MALFORMED


@pytest.mark.parametrize("entry", MALFORMED, ids=lambda entry: entry.error[:60])
def test_every_mistake_is_reported_where_it_stands(entry):
    with pytest.raises(SpecError) as error:
        parse_spec(entry.text, "model.yaml", Target(entry.config))
    assert str(error.value).replace("model.yaml:", "") == entry.error


def test_the_table_is_long_and_has_every_mistake_once():
    assert len(MALFORMED) >= 40
    assert len({entry.text for entry in MALFORMED}) == len(MALFORMED)


def test_the_page_is_written_from_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.errors_page"


def outcome(text: str, read: Callable[[str, str], object] = parse_spec) -> str:
    """Nothing, or the error; anything but a SpecError is raised, and ten seconds, on a busy machine, are too long."""
    started = time.perf_counter()
    try:
        read(text, "fuzzed.yaml")
        said = ""
    except SpecError as error:
        said = str(error)
        assert said.startswith("fuzzed.yaml:")
        assert len(said) < 30_000
    assert time.perf_counter() - started < 10
    return said


GROUPS = "graphmerge: 1\ngroups: {d: 4}\n"
BOMBS = {
    "aliases": "a: &a [x, x]\n" + "".join(f"{c}: &{c} [*{b}, *{b}]\n" for b, c in zip("abcdefgh", "bcdefghi")),
    "lists in lists": "[" * 100_000,
    "mappings in mappings": "{a: " * 50_000,
    "indented lists": "- " * 5_000,
    "a key of a megabyte": "k" * 990_000 + ": 1",
    "a quoted key of a megabyte": '"' + "k" * 990_000 + '": 1',
    "a value of a megabyte": GROUPS + "tensors: {w: " + "d " * 400_000 + "}",
    "too long": "#" * 3_000_000,
    "parentheses": GROUPS + "tensors: {w: " + "(" * 100_000 + "}",
    "a sum of many": GROUPS + "tensors: {w: " + "d + " * 100_000 + "d}",
    "many boxes": GROUPS + "tensors: {w: " + " ".join(["(" + " + ".join(["d"] * 50) + ")"] * 8) + "}",
    "a huge axis": "graphmerge: 1\ngroups: {d: 2147483648}\ntensors: {w: (d d d d d d d d)}",
    "a huge number": "graphmerge: 1\ngroups: {d: " + "9" * 100_000 + "}\ntensors: {w: d}",
    "a huge fixed part": GROUPS + "tensors: {w: d _" + "9" * 100_000 + "}",
    "a huge range": GROUPS + "repeat: {l: 0..2147483647}\ntensors: {w.{l}: d}",
    "ranges in ranges": GROUPS + "repeat: {a: 0..999, b: 0..999, c: 0..999}\ntensors: {w.{a}.{b}.{c}: d}",
    "a letter that stands for itself": GROUPS + "repeat: {a: ['{a}']}\ntensors: {w.{a}: d}",
    "overlapping blocks of a huge tensor": "graphmerge: 1\ngroups: {d: 2147483648}\n"
    "tensors: {w: [{axes: d}, {axes: d}]}",
    "strided blocks of a huge tensor": "graphmerge: 1\ngroups: {a: 40000, b: 40000}\n"
    "tensors: {w: [{axes: (a (b + -1))}, {axes: (a (b + -1))}]}",
    "a deep sum": "graphmerge: 1\ngroups: {d: " + "(" * 5_000 + "1}\ntensors: {w: d}",
    "signs": "graphmerge: 1\ngroups: {d: " + "-" * 190 + "1a}\ntensors: {w: d}",
    "a tag": "graphmerge: !!python/object/apply:os.system ['touch /tmp/never']\n",
    "a merge": "graphmerge: 1\n<<: {groups: {d: 4}}\ntensors: {w: d}",
    "null bytes": "graphmerge: 1\0",
    "surrogates": "graphmerge: \ud800",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_in_an_error_at_once(name):
    assert outcome(BOMBS[name])
    assert outcome(BOMBS[name].replace("graphmerge: 1\n", "graphmerge: 1\nderive: true\n"), parse_overrides)


NAMES = ["a" * 200, "layers.0.ffn", "7" * 200, "a7" * 100]


@pytest.mark.parametrize("text", ["*a" * 400 + "b", "*" * 800 + "b", "*a{l}*{l}*b", "{a}{b}{c}{d}x", "*a*{l}*b"])
def test_no_name_takes_long_to_be_matched(text):
    started = time.perf_counter()
    (pattern,) = parse_overrides(f"graphmerge: 1\nderive: true\npin: '{text}'\n").pin
    with pytest.raises(SpecError, match="no group is called"):
        pattern.matches(NAMES)
    assert time.perf_counter() - started < 10


def test_no_file_is_touched(monkeypatch):
    """Whatever a spec says: reading its text opens nothing."""

    def opened(*arguments, **_):
        raise AssertionError(f"opened {arguments}")

    small = [text for text in BOMBS.values() if len(text) < 10_000] + [entry.text for entry in MALFORMED]
    small += ["graphmerge: !!python/name:os.system", "graphmerge: !include /etc/passwd", "!!binary aGk=: 1"]
    for place in ("builtins.open", "io.open", "os.open", "os.system"):
        monkeypatch.setattr(place, opened)
    said = [outcome(text) for text in small]
    said += [outcome(text, parse_overrides) for text in small]
    monkeypatch.undo()
    assert len(said) > 90
    assert all(said)


WORDS = st.sampled_from(
    [
        "graphmerge", "1", "groups", "tensors", "repeat", "pinned", "sizes", "model", "notes", "size", "over", "kind",
        "axes", "rows", "each", "pin", "reason", "d", "d.{l}", "{l}", "l", "0..3", "[0, 1]", "4", "_", "_3", "-2", "w",
        "w?",
        "= w", "(d d)", "d + d", "(d (d + _2))", "d/0:2", "d@1", "w[0] _4", "*", "&a", "!x", "<<", "null", "''", "- -",
    ]
)  # fmt: skip
TREES = st.recursive(
    WORDS | st.text(max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
FILES = st.fixed_dictionaries(
    {"graphmerge": st.just(1), "groups": TREES, "tensors": TREES},
    optional=dict.fromkeys(("repeat", "pinned", "sizes", "notes", "model"), TREES),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES)
def test_any_tree_is_read_or_refused(tree):
    outcome(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


@settings(max_examples=150, deadline=None)
@given(jumbled(WORDS))
def test_any_text_is_read_or_refused(text):
    outcome(text)


@settings(max_examples=100, deadline=None)
@given(slipped(MALFORMED))
def test_a_slip_of_the_pen_is_read_or_refused(text):
    """A few characters changed in a file that is nearly right."""
    outcome(text)


CHANGES = st.fixed_dictionaries(
    {"graphmerge": st.just(1), "derive": st.just(True)},
    optional=dict.fromkeys(("model", "pin", "tie", "release", "rename"), TREES),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES)
def test_any_change_is_read_or_refused(tree):
    outcome(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), parse_overrides)


@settings(max_examples=100, deadline=None)
@given(slipped(MALFORMED_OVERRIDES))
def test_a_slip_of_the_pen_in_a_change_is_read_or_refused(text):
    outcome(text, parse_overrides)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b.c", "or", "+", "-", "*", "/", "(", ")", " ", "2", "0", "..", "x.0"]), max_size=9)
)
@example(["-"] * 60 + ["1"])
def test_any_size_is_a_number_or_refused(parts):
    quantities = Quantities({"a": 6, "b": {"c": None}, "x": [3]})
    for read in (quantities.number, quantities.range):
        column = 0
        try:
            read("".join(parts))
        except QuantityError as error:
            column = error.column
        assert 0 <= column <= len("".join(parts))
