import re

from graphmerge.recipe import make_plan, parse_recipe, read_recipe
from tests.recipes_page import PAGE, page


def test_the_table_is_written_from_the_schema():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.recipes_page"


def test_the_example_of_the_page_is_a_recipe():
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    assert len(parse_recipe(example[1]).merge.exceptions) == 2


def test_the_recipe_that_comes_along_can_be_carried_out():
    path = PAGE.parents[1] / "recipes" / "gpt2-pair.yaml"
    plan = make_plan(read_recipe(path), path.parent, path.parent / "none")
    assert len(plan.groups) == 9
