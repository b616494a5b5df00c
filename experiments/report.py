"""Writes ``docs/results.md`` and its figures from the results of experiments: ``python -m experiments.report``.

Every number on the page is read from a results file. What was found is written by hand in ``results/NAME.md``; where
such a text says ``{bert: all}`` the page has the mean barrier of that set and variant with its standard error, so that
no sentence holds a figure of another run.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.experiment import ModelSet, Plan, read_experiment
from experiments.figures import SHOWN, draw_heat, draw_means
from experiments.heat import Heat
from experiments.run import RESULTS, heat_file, results_file
from experiments.trained import trained_models
from graphmerge.errors import GraphMergeError, InputError
from graphmerge.files import write_beside
from graphmerge.report import numbers
from graphmerge.sweep import VANILLA, Curves, Sweep

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "results.md"
FILES = "small-*.yaml"
UNSOUND = "†"
HEAD = """\
# Results

This page is written by `python -m experiments.report` from what `python -m experiments.run experiments/small-*.yaml`
measured (`experiments/results/`): the experiments of Verma and Elbayad (arXiv 2403.00986, "the paper" below) on small
models that `python -m experiments.train` makes in minutes each, on one core. What the paper did with MultiBERTs stands
in `experiments/paper-*.yaml`; those need a network and were not run.

A *barrier* is the largest loss above the chord on the line between two models, in nats; each pair has its own peak.
Means and standard errors are over all pairs of a set. Pairs share models and are few, so the errors say how much these
pairs vary, not how other models would. *Removed* is the share of the mean barrier of the models as they are, `vanilla`.
"""


@dataclass(frozen=True)
class Measured:
    """An experiment and what there is of its results: sweeps by the name of the set."""

    plan: Plan
    sweeps: Mapping[str, Sweep]

    def sets(self) -> Iterator[tuple[ModelSet, Sweep]]:
        """The sets that have results."""
        return ((own, self.sweeps[own.name]) for own in self.plan.sets if own.name in self.sweeps)


def measured(folder: Path, results: Path) -> list[Measured]:
    """All experiments of a folder that have results, in the order of their names.

    Raises:
        GraphMergeError: a file that cannot be read.
    """
    found = []
    for path in sorted(folder.glob(FILES)):
        plan = read_experiment(path)
        files = {own.name: results_file(results, plan, own) for own in plan.sets}
        sweeps = {name: Sweep.read(file) for name, file in files.items() if file.is_file()}
        if sweeps:
            found.append(Measured(plan, sweeps))
    return found


def write_report(page: Path, folder: Path = HERE, results: Path = RESULTS) -> None:
    """Write the page, and its figures into a folder of its name beside it.

    Raises:
        GraphMergeError: there are no results, or a text names a set or variant that has none.
    """
    found = measured(folder, results)
    if not found:
        raise InputError(f"{results} has no results of {folder}/{FILES}; python -m experiments.run makes them")
    figures = page.with_suffix("")
    figures.mkdir(parents=True, exist_ok=True)
    parts = [HEAD, models_part(results)]
    parts += [experiment_part(one, results, figures) for one in found]
    with write_beside(page) as beside:
        beside.write_text("\n".join(parts), encoding="utf-8")


def models_part(results: Path) -> str:
    """The models with their losses, beside what guessing by frequencies alone would reach."""
    header = ["model", "validation loss", "unigram entropy", "accuracy", "chance", "steps"]
    rows = []
    for name, training in trained_models(results).items():
        accuracy, chance = (numbers.share(training.get(key)) for key in ("accuracy", "chance"))
        loss, entropy = (numbers.loss(training[key]) for key in ("validation_loss", "unigram_entropy"))
        rows.append([name, loss, entropy, accuracy, chance, numbers.count(int(training["steps"]))])
    text = (
        "Losses in nats (a token, a masked token, an image), on data that training did not see. The unigram entropy is "
        "what guessing by the frequencies of tokens, or of digits, reaches at best; all models are far below it."
    )
    return f"## The models\n\n{text}\n\n{table(header, rows)}"


def experiment_part(one: Measured, results: Path, figures: Path) -> str:
    """One experiment: what it is, a table and a figure for each set, and what was found."""
    plan = one.plan
    lines = [f"## {plan.title}", "", f"{plan.about.strip()} (`experiments/{plan.name}.yaml`)", ""]
    for own, sweep in one.sets():
        pairs = len(sweep[VANILLA].pairs)
        figure = figures / f"{plan.name}-{own.name}.png"
        draw_means(sweep, f"{own.name}: mean of {pairs} pairs", figure)
        lines += [f"### {own.name}: {len(own.models)} models, {pairs} pairs", "", barrier_table(sweep)]
        lines += [f"![loss between two models of {own.name}]({figures.name}/{figure.name})", ""]
        for variant in own.heat:
            lines += _heat_lines(heat_file(results, plan, own, variant), own.heat[variant], variant, figures)
    text = results / f"{plan.name}.md"
    if text.is_file():
        lines += ["### What was found", "", filled(text.read_text(encoding="utf-8").strip(), one), ""]
    return "\n".join(lines)


def _heat_lines(file: Path, group: str, variant: str, figures: Path) -> list[str]:
    if not file.is_file():
        return []
    heat, figure = Heat.read(file), figures / f"{file.stem}.png"
    draw_heat(heat, group, figure)
    before, after = heat.before.diagonal().mean(), heat.after.diagonal().mean()
    said = (
        f"Correlations of the {len(heat.order)} units of `{group}` in the first two models, before and after matching "
        f"({variant}): the mean on the diagonal is {before:.3f} before and {after:.3f} after. The figure has the first "
        f"{SHOWN} units."
    )
    return [said, "", f"![correlations of {group}]({figures.name}/{figure.name})", ""]


def barrier_table(sweep: Sweep) -> str:
    """A row for each variant, the models as they are first; below, what variants that change the function do to B."""
    header = ["variant", "barrier", "removed", "loss at the middle", "matching"]
    text = table(header, [_row(name, curves, sweep) for name, curves in sweep.curves.items()])
    for name, curves in sweep.curves.items():
        if any(curve.unsound for curve in curves.curves):
            moved = sum(curve.losses[-1] for curve in curves.curves) / len(curves.curves)
            text += (
                f"\n{UNSOUND} changes the function: B as moved by {name!r} has a mean loss of {numbers.loss(moved)}, B "
                f"itself of {numbers.loss(sweep[VANILLA].mean[-1])}. Its barrier is above the chord to B itself.\n"
            )
    return text


def _row(name: str, curves: Curves, sweep: Sweep) -> list[str]:
    middle = sum(curve.midpoint for curve in curves.curves) / len(curves.curves)
    taken = [match["seconds"] for (matching, _), match in sweep.matches.items() if matching == name]
    removed = numbers.MISSING if name == VANILLA else numbers.share(curves.removed)
    seconds = numbers.seconds(sum(taken) / len(taken)) if taken else numbers.MISSING
    marks = f" {UNSOUND}" if any(curve.unsound for curve in curves.curves) else ""
    if curves.pairs != sweep[VANILLA].pairs:
        marks += f" ({len(curves.pairs)} pairs)"
    return [name + marks, spread(curves), removed, numbers.loss(middle), seconds]


def spread(curves: Curves) -> str:
    """The mean barrier with its standard error."""
    error = "" if curves.barrier_error is None else f" ± {numbers.loss(curves.barrier_error)}"
    return numbers.loss(curves.barrier) + error


def filled(text: str, one: Measured) -> str:
    """The text with ``{set: variant}`` replaced by that mean barrier.

    Raises:
        InputError: it names what has no results.
    """

    def value(match: re.Match[str]) -> str:
        name, variant = match[1].strip(), match[2].strip()
        if name not in one.sweeps or variant not in one.sweeps[name].curves:
            raise InputError(f"{one.plan.name}.md: there is no result of {match[0]}")
        return spread(one.sweeps[name][variant])

    return re.sub(r"\{([^:{}]+):([^{}]+)\}", value, text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown.

    >>> print(table(["a", "b"], [["1", "x | y"]]), end="")
    | a | b |
    | --- | --- |
    | 1 | x \\| y |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main() -> int:
    """Write docs/results.md and its figures."""
    parser = argparse.ArgumentParser(prog="python -m experiments.report", description=main.__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results (default: %(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    given = parser.parse_args()
    try:
        write_report(given.page, results=given.results)
    except (GraphMergeError, json.JSONDecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
