"""Tracing at two sequence lengths, so that nothing rests on an accident of the inputs."""

from __future__ import annotations

from typing import Any

import torch

from graphmerge.errors import TraceError
from graphmerge.trace.build import build
from graphmerge.trace.capture import capture
from graphmerge.trace.inputs import Inputs, lengths
from graphmerge.trace.outputs import choose_outputs
from graphmerge.trace.program import Program
from graphmerge.trace.ways import DEPENDS, DRAWS, IDS_DECIDE, note_of, numbers_decide, other_values, way_of

SIZES = 2


def trace_once(
    model: torch.nn.Module, inputs: Inputs, outputs: tuple[str, ...] | None = None, values_decide: bool = False
) -> Program:
    """One forward pass as a `Program`; ``values_decide`` spares the attempt to do without values.

    Raises:
        TraceError: the model cannot be run, or returns nothing to keep.
    """

    def chosen(returned: Any) -> dict[str, torch.Tensor]:
        return choose_outputs(returned, outputs)

    graph, names, notes = capture(model, inputs, chosen, values_decide)
    return build(model, graph, names, inputs, notes)


def trace_all(model: torch.nn.Module, inputs: Inputs, outputs: tuple[str, ...] | None = None) -> list[Program]:
    """`trace_sizes`; where values decide, other ways through the model as well.

    Raises:
        TraceError: not even the given inputs run.
    """
    programs = trace_sizes(model, inputs, outputs)
    first = programs[0]
    if not first.decided:
        return programs
    if not numbers_decide(first):
        _tell(programs, IDS_DECIDE)
        return programs
    ways = {way_of(first)}
    for seed in range(DRAWS):
        try:
            program = trace_once(*other_values(model, first.example, seed), outputs, values_decide=True)
        except TraceError:
            continue
        if program.outputs.keys() == first.outputs.keys() and way_of(program) not in ways:
            ways.add(way_of(program))
            programs.append(program)
    _tell(programs, note_of(len(ways)))
    return programs


def _tell(programs: list[Program], note: str) -> None:
    """Put a note in the place of what the first run said of control flow."""
    for program in programs:
        program.notes[:] = [n for n in program.notes if not n.startswith(DEPENDS)] + [note]


def trace_sizes(model: torch.nn.Module, inputs: Inputs, outputs: tuple[str, ...] | None = None) -> list[Program]:
    """The forward pass at two lengths that collide with nothing in the model; at the given one where that fails.

    Inputs without a sequence axis are traced as they are, and so are features whose second axis has one size only. The
    solution of both traces together is their meet.

    Raises:
        TraceError: not even the given inputs run.
    """
    if inputs.length is None:
        return [trace_once(model, inputs, outputs)]
    programs: list[Program] = []
    for length in lengths(model, inputs):
        try:
            values_decide = any(program.decided for program in programs)
            programs.append(trace_once(model, inputs.resized(length), outputs, values_decide))
        except TraceError:
            if not inputs.ids:
                return [trace_once(model, inputs, outputs)]
            continue
        if len(programs) == SIZES:
            return programs
    if inputs.length not in [p.example.length for p in programs]:
        try:
            programs.append(trace_once(model, inputs, outputs))
        except TraceError:
            if not programs:
                raise
    if len(programs) < SIZES:
        programs[0].notes.append(f"traced at length {programs[0].example.length} only: the model refuses others")
    return programs
