"""Commands that measure: eval, barrier."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group as Together

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
    Model,
    ModelB,
    Seed,
    Size,
    Tokenizer,
    Trust,
    check_new,
    data_for,
    emit,
    load_permutations,
    load_two,
    out,
    progress,
    sampling_of,
    say,
    show,
)
from graphmerge.data import load_loss
from graphmerge.evaluate import barrier as run_barrier
from graphmerge.evaluate import evaluate, figure_format, named_metrics
from graphmerge.files import write_beside
from graphmerge.report import barrier_rows, barrier_table, metric_table


def eval_(
    model: Model,
    data: Data = None,
    loss: Loss = None,
    metrics: Metrics = "",
    batches: Batches = 8,
    size: Size = 32,
    length: Length = 64,
    draw: Draw = "windows",
    seed: Seed = 0,
    tokenizer: Tokenizer = None,
    device: Device = "auto",
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """The loss of one model, and metrics of it."""
    wanted, sampling = asked(metrics), sampling_of(batches, size, length, seed, tokenizer, draw)
    loaded = load_model(model, trust_remote_code=trust_remote_code)
    found_data = data_for(loaded, data, sampling, "measuring a loss")
    with progress("evaluating") as tick:
        found = evaluate(loaded.model, found_data, load_loss(loss), device=device, progress=tick, metrics=wanted)
    if json:
        emit(dataclasses.asdict(found))
    else:
        out.print(f"loss {found.loss:.4f} ({found.unit}) over {found.positions:,} positions, {found.seconds:.1f} s")
        for name, value in found.metrics.items():
            out.print(f"{name} {value:.4f}")


def asked(metrics: str) -> tuple[str, ...]:
    """The metrics that an option names; none for none.

    Raises:
        InputError: there is none of that name.
    """
    return named_metrics(metrics) if metrics else ()


def barrier(
    a: Model,
    b: ModelB,
    data: Data = None,
    permutations: Annotated[Path | None, typer.Option(help="A file that `graphmerge match` wrote.")] = None,
    loss: Loss = None,
    metrics: Metrics = "",
    points: Annotated[int, typer.Option(min=3, help="Points on the line, both ends included.")] = 21,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves to this file (.png, .svg, .pdf).")] = None,
    curve_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the curve as JSON.")] = None,
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
    """The loss barrier on the line from A to B, with the permutations and, beside it, without."""
    for path in (plot, curve_file):
        if path is not None:
            check_new(path, force)
    if plot is not None:
        figure_format(plot)
    wanted, sampling = asked(metrics), sampling_of(batches, size, length, seed, tokenizer, draw)
    first, second = load_two(a, b, trust_remote_code, allow_different_tokenizers)
    found_data = data_for(first, data, sampling, "measuring a barrier")
    element = None if permutations is None else load_permutations(permutations)
    with progress("measuring the barrier") as tick:
        curve = run_barrier(
            first.model,
            second.model,
            found_data,
            permutations=element,
            loss=load_loss(loss),
            points=points,
            device=device,
            progress=tick,
            metrics=wanted,
        )
    name = "vanilla" if permutations is None else permutations.stem
    if plot is not None:
        curve.plot(plot)
        say(f"wrote {plot}")
    if curve_file is not None:
        with write_beside(curve_file) as beside:
            beside.write_text(curve.to_json(), encoding="utf-8")
        say(f"wrote {curve_file}")
    tables = [barrier_table(barrier_rows({name: curve})), *([metric_table(curve)] if curve.metrics else [])]
    show(Together(*tables), {"barrier": curve.barrier, **dataclasses.asdict(curve)}, json)
