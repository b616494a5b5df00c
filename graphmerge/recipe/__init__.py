"""Recipes: whole merges written in YAML, which a colleague can run again to the same bytes."""

from graphmerge.recipe.estimate import estimate
from graphmerge.recipe.plan import Plan, make_plan
from graphmerge.recipe.read import Reading, parse_recipe, read_recipe
from graphmerge.recipe.run import run_recipe, work_folder
from graphmerge.recipe.schema import Recipe

__all__ = [
    "Plan",
    "Reading",
    "Recipe",
    "estimate",
    "make_plan",
    "parse_recipe",
    "read_recipe",
    "run_recipe",
    "work_folder",
]
