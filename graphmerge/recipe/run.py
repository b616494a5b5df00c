"""Carrying a recipe out: stage after stage, from wherever an earlier run of it stopped."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from graphmerge.errors import InputError
from graphmerge.recipe.plan import Plan, make_plan
from graphmerge.recipe.read import Reading, read_recipe
from graphmerge.recipe.resolve import changed, model_digests, name_of, recipe_text
from graphmerge.recipe.stages import MATCHED, MERGED, RECIPE, Progress, Stages, threads
from graphmerge.report import RecipeReport

Say = Callable[[str], None]


def run_recipe(
    path: str | Path,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    say: Say = lambda text: None,
    progress: Progress | None = None,
    finished: Say = lambda stage: None,
) -> RecipeReport:
    """Do what a recipe says. The output, with the resolved recipe in it, appears whole or not at all.

    The same recipe, inputs, machine and number of threads give the same bytes. The files of a stage that is finished
    stay, in a hidden directory beside the output, until the run is.

    Args:
        output: the directory to write, if not that of the recipe.
        resume: go on with an interrupted run of the same recipe on the same inputs.
        force: replace an output, or begin again what was interrupted.
        say: called with a line for people at every stage; ``finished`` with the name of each that has been done.
        progress: called with (done, in all) inside a stage.

    Raises:
        RecipeError: the recipe is wrong, or what it reads is not what it was.
        InputError: nothing to resume, an interrupted run in the way, or what a stage raises.
    """
    reading = read_recipe(path)
    target = Path(output) if output is not None else None
    published = resume and _is_published((target or Path(path).parent / reading.recipe.output).resolve())
    plan = make_plan(reading, Path(path).parent, target, replacing=force or published)
    with threads(plan.recipe.threads):
        say("reading what the inputs hash to")
        plan = with_digests(plan, reading)
        stages = Stages(plan, work_folder(plan.output), progress)
        if published:
            report = stages.report()
            shutil.rmtree(stages.folder)
            return report
        _begin(stages, resume, force)
        for name in stages.names:
            if stages.is_finished(name):
                say(f"{name}: finished before")
                continue
            say(name)
            stages.run(name)
            finished(name)
        stages.finish()
        report = stages.report()
        finished("report")
        _publish(stages.folder, plan.output)
    return report


def work_folder(output: Path) -> Path:
    """Where a run keeps what it has finished: beside its output."""
    return output.with_name(f".{output.name}.graphmerge-run")


def with_digests(plan: Plan, reading: Reading) -> Plan:
    """The plan with what all its inputs hash to.

    Raises:
        RecipeError: the recipe says what they were, and they are not.
    """
    found = {
        name_of(("models", n)): model_digests(model, weights.loaded.directory)
        for n, (model, weights) in enumerate(zip(plan.recipe.models, plan.weights))
    }
    found |= {name: dict(digests) for name, digests in sorted(plan.digests.items())}
    if (known := plan.recipe.inputs) is not None and (other := changed(known, found)):
        message = (
            f"not what they were when this was written: {', '.join(other)}; remove 'inputs' to run it all the same"
        )
        reading.refuse([(("inputs",), message)])
    return dataclasses.replace(plan, recipe=plan.recipe.model_copy(update={"inputs": found}))


def _begin(stages: Stages, resume: bool, force: bool) -> None:
    """The work folder of this very recipe: found again, or made."""
    folder, text = stages.folder, recipe_text(stages.plan.recipe)
    noted = folder / RECIPE
    if resume and not noted.is_file():
        raise InputError(f"there is no interrupted run of {stages.plan.output} to resume; leave out --resume")
    if resume and noted.read_text(encoding="utf-8") != text:
        raise InputError(
            f"the recipe or its inputs have changed since the run in {folder} was interrupted; "
            "begin again with --force instead of --resume"
        )
    if resume:
        return
    if folder.exists() and not force:
        raise InputError(f"{folder} holds an interrupted run; go on with it by --resume, or begin again with --force")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    noted.write_text(text, encoding="utf-8")


def _is_published(output: Path) -> bool:
    """Did a run stop when all was done but for removing its work folder?"""
    folder = work_folder(output)
    ours, there = folder / RECIPE, output / RECIPE
    finished = ours.is_file() and there.is_file() and not (folder / MERGED).exists()
    return finished and (folder / MATCHED).is_file() and ours.read_bytes() == there.read_bytes()


def _publish(folder: Path, output: Path) -> None:
    """What was merged takes the place of the output; then nothing is left to resume."""
    old = output.with_name(f".{output.name}.{secrets.token_hex(4)}.old")
    if os.path.lexists(output):
        os.rename(output, old)
    try:
        os.rename(folder / MERGED, output)
    except BaseException:
        if os.path.lexists(old):
            os.rename(old, output)
        raise
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(folder)
