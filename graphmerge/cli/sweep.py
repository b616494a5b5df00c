"""The command that measures all pairs of several models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from graphmerge.checkpoint import load_model
from graphmerge.cli.common import (
    AnyTokenizer,
    Batches,
    Data,
    Device,
    Draw,
    Force,
    Json,
    Length,
    Loss,
    Metrics,
    Seed,
    Size,
    Tokenizer,
    Trust,
    check_new,
    data_for,
    err,
    sampling_of,
    say,
    show,
)
from graphmerge.cli.measure import asked
from graphmerge.data import load_data, load_loss
from graphmerge.errors import InputError
from graphmerge.evaluate import figure_format
from graphmerge.report import sweep_data, sweep_table
from graphmerge.report.numbers import seconds
from graphmerge.resolve import load_spec
from graphmerge.sweep import Step
from graphmerge.sweep import sweep as run_sweep

METHODS = ("weights", "activations", "identity")


def sweep(
    models: Annotated[
        list[str], typer.Argument(help="Two models or more, of one architecture; all pairs are measured.")
    ],
    data: Data = None,
    match: Annotated[
        list[str] | None,
        typer.Option(
            help="A way of matching, once or several times: weights, activations, "
            "or a name with options of match, as in 'ff: {method: activations, groups: ffn}'."
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A line for each finished curve (.jsonl); an interrupted sweep continues there."
        ),
    ] = None,
    calibration: Annotated[str | None, typer.Option(help="The data to match on; as --data.")] = None,
    calibration_batches: Annotated[int, typer.Option(min=1, help="How many batches to take from it.")] = 24,
    spec: Annotated[
        Path | None, typer.Option(help="Take the groups from this YAML spec, or from a packaged one, not from tracing.")
    ] = None,
    loss: Loss = None,
    metrics: Metrics = "",
    points: Annotated[int, typer.Option(min=3, help="Points on each line, both ends included.")] = 21,
    plot: Annotated[Path | None, typer.Option(help="Draw the mean curves to this file (.png, .svg, .pdf).")] = None,
    batches: Batches = 8,
    size: Size = 32,
    length: Length = 64,
    draw: Draw = "windows",
    seed: Seed = 0,
    tokenizer: Tokenizer = None,
    device: Device = "auto",
    trust_remote_code: Trust = False,
    allow_different_tokenizers: AnyTokenizer = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """The barriers of all pairs of several models by several ways of matching, with mean and standard error."""
    if plot is not None:
        check_new(plot, force)
        figure_format(plot)
    matchings, wanted = _matchings(match or []), asked(metrics)
    first = load_model(models[0], trust_remote_code=trust_remote_code)
    batched = data_for(first, data, sampling_of(batches, size, length, seed, tokenizer, draw), "measuring barriers")
    matched = None
    if calibration is not None:
        sampling = sampling_of(calibration_batches, size, length, seed, tokenizer, draw)
        matched = load_data(calibration, first, sampling)
    with _progress() as tick:
        found = run_sweep(
            models,
            batched,
            matchings,
            out=results,
            calibration=matched,
            symmetry=None if spec is None else load_spec(spec, first.model, first.example_inputs),
            loss=load_loss(loss),
            metrics=wanted,
            points=points,
            device=device,
            seed=seed,
            progress=tick,
            trust_remote_code=trust_remote_code,
            allow_different_tokenizers=allow_different_tokenizers,
        )
    if plot is not None:
        found.plot(plot)
        say(f"wrote {plot}")
    show(sweep_table(found), sweep_data(found), json)


def _matchings(given: list[str]) -> dict[str, Mapping[str, Any]]:
    """The ways of matching, by name.

    Raises:
        InputError: one of them is neither a method nor a name with options.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for text in given:
        try:
            read = yaml.safe_load(text)
        except yaml.YAMLError:
            read = None
        named = {read: {"method": read}} if isinstance(read, str) and read in METHODS else read
        if not isinstance(named, dict) or not all(isinstance(options, dict) for options in named.values()):
            raise InputError(
                f"--match takes {', '.join(METHODS)}, or a name with options, as in "
                f"'ff: {{method: activations, groups: ffn}}'; not {text[:60]!r}"
            )
        for name, options in named.items():
            if str(name) in found:
                raise InputError(f"--match gives {name!r} twice; give each way of matching a name of its own")
            found[str(name)] = options
    return found


@contextmanager
def _progress() -> Iterator[Callable[[Step], None]]:
    """Curves done and the time left: a bar on a terminal, else a line for each curve; on standard error."""
    if not err.is_terminal:
        yield _line
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda step: bar.update(task, total=step.total, completed=step.done, description=_said(step))


def _line(step: Step) -> None:
    if step.part == 0.0:
        say(f"{step.done}/{step.total} {_said(step)}")


def _said(step: Step) -> str:
    left = "" if step.seconds_left is None else f", about {seconds(step.seconds_left)} left"
    return f"{step.pair[0]} and {step.pair[1]}: {step.matching}{left}"
