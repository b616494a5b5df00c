"""The command that carries out a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from graphmerge.cli.common import Force, Json, emit, out, progress, say, show
from graphmerge.recipe import estimate, make_plan, read_recipe, run_recipe
from graphmerge.report import plan_data, plan_report, recipe_data, recipe_report


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe in YAML; see docs/recipes.md.", show_default=False)],
    out_directory: Annotated[
        Path | None, typer.Option("--out", "-o", help="The directory to write, if not that of the recipe.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would be done, and write nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Carry out a whole merge that is written in a recipe."""
    if dry_run:
        plan = make_plan(read_recipe(recipe), recipe.parent, out_directory, replacing=force or resume)
        rows = estimate(plan)
        show(plan_report(rows, plan.groups, chosen=plan.chosen), plan_data(rows, plan.groups, chosen=plan.chosen), json)
        return
    with progress("running") as tick:
        report = run_recipe(recipe, output=out_directory, resume=resume, force=force, say=say, progress=tick)
    if json:
        emit(recipe_data(report))
    else:
        out.print(Text(recipe_report(report)), soft_wrap=True)
