"""Every error of the table, to the letter; and files of any kind end in a recipe or in one RecipeError."""

from __future__ import annotations

import sys
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphmerge.errors import RecipeError
from graphmerge.recipe import parse_recipe, read_recipe
from graphmerge.recipe.schema import Recipe
from tests.fuzz import jumbled, slipped
from tests.recipe.malformed import MALFORMED_RECIPES
from tests.spec.test_errors import BOMBS

OPENED: list[str] = []
WATCHING: list[bool] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if WATCHING and event in ("open", "os.listdir", "os.scandir", "socket.connect"):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)


@pytest.mark.parametrize("entry", MALFORMED_RECIPES, ids=lambda entry: entry.error[:60])
def test_every_mistake_is_reported_where_it_stands(entry):
    with pytest.raises(RecipeError) as error:
        parse_recipe(entry.text, "recipe.yaml")
    assert str(error.value).replace("recipe.yaml:", "") == entry.error


def test_the_table_has_every_mistake_once():
    assert len(MALFORMED_RECIPES) >= 40
    assert len({entry.text for entry in MALFORMED_RECIPES}) == len(MALFORMED_RECIPES)


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*none\.yaml: No such file"):
        read_recipe(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="it is not UTF-8 text"):
        read_recipe(tmp_path / "binary.yaml")


def outcome(text: str) -> str:
    """Nothing, or the error; anything but a RecipeError is raised, no file is touched, two seconds are too long."""
    started = time.process_time()
    WATCHING.append(True)
    try:
        assert isinstance(parse_recipe(text, "fuzzed.yaml"), Recipe)
        said = ""
    except RecipeError as error:
        said = str(error)
        assert said.startswith("fuzzed.yaml:")
        assert len(said) < 30_000
    finally:
        WATCHING.clear()
    assert time.process_time() - started < 2
    assert not [path for path in OPENED if not path.endswith((".py", ".pyc"))]  # a traceback may read its source
    return said


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_in_an_error_at_once(name):
    assert outcome(BOMBS[name])


WORDS = st.sampled_from(
    [
        *Recipe.model_fields, "method", "weights", "source", "dataset", "name", "tensors", "points", "linear", "slerp",
        "activations", "a.txt", "x.py:f", "1", "0.5", ".nan", "[1, 0]", "", "null", "~", "yes", "1e400", "0x1f",
        "2024-01-01", "!x", "<<", "derived", "2GB", "cpu", "*", "{l}", "9" * 5000,
    ]
)  # fmt: skip
TREES = st.recursive(
    WORDS | st.text(max_size=8) | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
FILES = st.fixed_dictionaries(
    {"recipe": st.just(1), "models": st.just(["a", "b"]) | TREES, "output": st.just("out") | TREES},
    optional={name: TREES for name in Recipe.model_fields if name not in ("recipe", "models", "output")},
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES)
def test_any_tree_is_read_or_refused(tree):
    outcome(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


@settings(max_examples=100, deadline=None)
@given(jumbled(WORDS))
def test_any_text_is_read_or_refused(text):
    outcome(text)


@settings(max_examples=100, deadline=None)
@given(slipped(MALFORMED_RECIPES))
def test_a_slip_of_the_pen_is_read_or_refused(text):
    """A few characters changed in a file that is nearly right."""
    outcome(text)
