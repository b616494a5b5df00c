"""Carries out an experiment: ``python -m experiments.run experiments/small-components.yaml --out DIR``.

Every finished curve is a line of ``DIR/NAME-SET.jsonl`` at once; the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from experiments.check import SetPlan, check
from experiments.experiment import ModelSet, Plan, read_experiment
from experiments.heat import write_heat
from experiments.trained import note_training
from graphmerge.checkpoint.pretrained import quiet_transformers
from graphmerge.errors import GraphMergeError
from graphmerge.recipe.plan import Plan as RecipePlan
from graphmerge.recipe.plan import make_plan
from graphmerge.recipe.read import Reading
from graphmerge.recipe.stages import match_options, threads
from graphmerge.report import numbers
from graphmerge.sweep import Step, Sweep, sweep

RESULTS = Path(__file__).parent / "results"


def run_experiment(plan: Plan, out: Path, progress: Callable[[str, Step], None], only: str | None = None) -> None:
    """Measure every set of an experiment, or one of them, into its own file of ``out``.

    Raises:
        GraphMergeError: what is wrong with files, models or data; results of another experiment in the place.
    """
    check(plan)
    for own in plan.sets:
        if only in (None, own.name):
            with threads(own.common.threads):
                run_set(plan, own, out, lambda step, name=own.name: progress(name, step))


def run_set(plan: Plan, own: ModelSet, out: Path, progress: Callable[[Step], None]) -> Sweep:
    """The curves of all pairs of one set by every variant; finished ones are read from the file."""
    out.mkdir(parents=True, exist_ok=True)
    plans = dict(recipe_plans(plan, own))
    first = next(iter(plans.values()))
    evaluation = first.recipe.evaluation
    assert evaluation is not None, "the notation asks for it"
    found = sweep(
        {Path(model).name: _source(plan.folder, model) for model in own.models},
        first.batches["evaluation"],
        {variant: match_options(recipe) for variant, recipe in plans.items()},
        out=results_file(out, plan, own),
        loss=first.losses["evaluation"],
        points=evaluation.points or 0,
        device=first.recipe.device,
        seed=first.recipe.seed,
        progress=progress,
        trust_remote_code=first.recipe.trust_remote_code,
        allow_different_tokenizers=first.recipe.allow_different_tokenizers,
    )
    note_training((plan.folder / model for model in own.models), out)
    for variant in own.heat:
        write_heat(plans[variant], own.heat[variant], heat_file(out, plan, own, variant))
    return found


def recipe_plans(plan: Plan, own: ModelSet) -> Iterator[tuple[str, RecipePlan]]:
    """Each variant as the plan of a recipe on the first two models: files read, data drawn, groups traced."""
    for variant, recipe in own.recipes.items():
        text = yaml.safe_dump(recipe.model_dump(exclude_unset=True), sort_keys=False)
        name = f"{plan.name}, {own.name} matched by {variant!r}"
        yield variant, make_plan(Reading(text, name), plan.folder, replacing=True)


def results_file(out: Path, plan: Plan, own: ModelSet) -> Path:
    """Where the curves of a set are written."""
    return out / f"{plan.name}-{own.name}.jsonl"


def heat_file(out: Path, plan: Plan, own: ModelSet, variant: str) -> Path:
    """Where the correlations of a set's first pair are written."""
    return out / f"{plan.name}-{own.name}.{'-'.join(variant.split())}.npz"


def _source(folder: Path, model: str) -> str:
    return str(folder / model) if (folder / model).exists() else model


def dry_run(plan: Plan, sets: tuple[SetPlan, ...]) -> str:
    """What would be done, as text."""
    lines = [f"{plan.name}: {plan.title}", f"  {' '.join(plan.about.split())}"]
    for own in sets:
        lines.append(
            f"  {own.name}: {len(own.models)} models, {own.pairs} pairs, {len(own.variants)} variants and the models "
            f"as they are: {own.curves} curves of {own.points} points"
        )
        width = max(len(variant.name) for variant in own.variants)
        for variant in own.variants:
            moves = "groups not known here" if variant.moves is None else _moves(variant.moves)
            chosen = ", of these chosen on the data" if variant.chosen else ""
            options = "".join(f"; {option}" for option in variant.options)
            changes = ", which changes the function" if variant.unsound else ""
            lines.append(f"    {variant.name:{width}}  {variant.method:11}  {moves}{chosen}{options}{changes}")
        lines += [f"    note: {note}" for note in own.notes]
    return "\n".join(lines)


def _moves(moves: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} ({count})" for kind, count in moves.items()) or "nothing moves"


def _said(name: str, step: Step) -> None:
    """Progress on standard error: a line for each curve."""
    if step.part == 0.0:
        left = "" if step.seconds_left is None else f", about {numbers.seconds(step.seconds_left)} left"
        a, b = step.pair
        print(f"{name}: {step.done}/{step.total}{left}: {a} and {b} by {step.matching}", file=sys.stderr, flush=True)


def main(arguments: Any = None) -> int:
    """Carry out an experiment, or say what would be done."""
    parser = argparse.ArgumentParser(prog="python -m experiments.run", description=main.__doc__)
    parser.add_argument("file", type=Path, nargs="+", help="experiments in YAML")
    parser.add_argument("--dry-run", action="store_true", help="check all that can be checked here, write nothing")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results (default: %(default)s)")
    parser.add_argument("--set", dest="only", help="measure this set alone")
    given = parser.parse_args(arguments)
    try:
        with quiet_transformers():
            for file in given.file:
                plan = read_experiment(file)
                if given.dry_run:
                    print(dry_run(plan, check(plan)))
                else:
                    run_experiment(plan, given.out, _said, given.only)
    except GraphMergeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
