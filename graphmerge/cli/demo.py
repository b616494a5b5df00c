"""The demo: the whole way on two pairs of trained models that come with the package."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from graphmerge.cli.common import Device, Force, Json, emit, out, say
from graphmerge.demo.data import ARCHITECTURES
from graphmerge.demo.run import Result, run
from graphmerge.errors import InputError
from graphmerge.report import (
    BarrierRow,
    barrier_data,
    barrier_rows,
    barrier_table,
    symmetry_data,
    symmetry_report,
    verification_data,
)


def demo(
    out_directory: Annotated[
        Path, typer.Option("--out", "-o", help="Where to write figures, specs and models.")
    ] = Path("demo-output"),
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Derive, prove, match, merge and measure: a GPT-2 and a BERT-like pair, trained from different initialisations."""
    if out_directory.exists() and not force:
        raise InputError(f"{out_directory} exists; give another name, or --force to replace what is in it")
    started = time.perf_counter()
    results = [run(architecture, out_directory, say, device) for architecture in ARCHITECTURES]
    if json:
        emit({r.architecture: _data(r) for r in results})
    else:
        for result in results:
            _show(result)
        out.print("Written:", *(f"  {path}" for r in results for path in r.files), sep="\n", highlight=False)
        out.print(f"Took {time.perf_counter() - started:.0f} s.", highlight=False)
    if not all(result.verification.ok for result in results):
        raise typer.Exit(1)


def _rows(result: Result) -> tuple[BarrierRow, ...]:
    return barrier_rows(result.curves, {name: m.seconds for name, m in result.matches.items()})


def _show(result: Result) -> None:
    proof = result.verification
    verdict = "proved" if proof.ok else "WRONG"
    out.print(symmetry_report(result.symmetry))
    out.print(f"{verdict}: largest relative change of any output {proof.max_error:.1e}", highlight=False)
    out.print(barrier_table(_rows(result), title=f"{result.architecture}: loss barriers on validation data"))
    for method, found in result.matches.items():
        for note in found.notes:
            out.print(f"{method}: {note}", highlight=False)


def _data(result: Result) -> dict[str, object]:
    return {
        "symmetry": symmetry_data(result.symmetry),
        "verification": verification_data(result.verification),
        "barriers": barrier_data(_rows(result)),
        "groups": {name: list(m.groups) for name, m in result.matches.items()},
        "files": [str(path) for path in result.files],
    }
