"""One case from config to certificate: what was derived, whether it is sound, and whether it is complete."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import transformers

import graphmerge as gm
from benchmarks.coverage.build import NotConstructible, build
from benchmarks.coverage.catalogue import Case
from graphmerge.certify import count
from graphmerge.errors import GraphMergeError
from graphmerge.trace.inputs import Inputs

EQUAL = 1e-6  # log-orders that differ by less are equal
LENGTHS = (2, 3, 5)  # positions that are counted at: the fewest that the model takes


@dataclass
class Row:
    """What became of a case.

    ``status`` is proven (sound, and the derived log-order is the counted one), sound (verified, but freedom was missed
    or could not be counted), unsound, refused (with a message), crashed, or not constructible.
    """

    model_type: str
    model_class: str
    heads: tuple[str, ...]
    status: str = "crashed"
    why: str = ""
    groups: int = 0
    nodes: int = 0
    log_order: float = 0.0
    counted: float | None = None
    swaps: float = 0.0
    error: float | None = None
    untested: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(case: Case) -> Row:
    """Never raises for what is wrong with a model; what the code itself trips over is a crash, with its text."""
    row = Row(case.model_type, case.model_class, case.heads)
    clock = _Clock(row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        try:
            model, inputs = build(case)
            clock.lap("build")
            _derive(row, clock, model, inputs)
        except NotConstructible as error:
            row.status, row.why = "not constructible", str(error)
        except GraphMergeError as error:
            row.status, row.why = "refused", _short(error)
        except Exception as error:
            row.status, row.why = "crashed", f"{type(error).__name__}: {_short(error)}"
    return row


def _derive(row: Row, clock: _Clock, model: torch.nn.Module, inputs: dict[str, Any]) -> None:
    graph = gm.trace(model, inputs)
    symmetry = graph.symmetry()
    clock.lap("derive")
    row.groups, row.log_order = len(symmetry.groups), symmetry.log_order()
    row.nodes = len(graph.programs[0].nodes)
    row.unknown = tuple(sorted({f"{u.op}: {u.why}" for u in graph.unknown}))
    found = gm.verify(model, symmetry, inputs)
    clock.lap("verify")
    row.error, row.untested = found.max_error, found.untested
    row.status = "sound" if found.ok else "unsound"
    if not found.ok:
        row.why = f"{', '.join(found.culprits[:3])} change an output by {found.max_error:.1e}"
        return
    _count(row, clock, model, inputs, tuple(graph.programs[0].outputs))


def _count(row: Row, clock: _Clock, model: torch.nn.Module, inputs: dict[str, Any], outputs: tuple[str, ...]) -> None:
    names = tuple(dict.fromkeys(name.split(".")[0] for name in outputs))
    try:
        counted = _counted(model, inputs, names)
    except Exception as error:
        row.why = f"not counted: {type(error).__name__}: {_short(error)}"
        return
    clock.lap("count")
    row.counted, row.swaps = counted.log_order, counted.slices_log_order
    if abs(row.counted - row.log_order) < EQUAL:
        row.status = "proven"
    else:
        row.why = f"freedom of {row.counted - row.log_order:.4f} was missed"


def _counted(model: torch.nn.Module, inputs: dict[str, Any], outputs: tuple[str, ...]) -> Any:
    whole = Inputs.of(inputs)
    failure: Exception | None = None
    for length in LENGTHS if whole.length is not None else (None,):
        tried = whole if length is None else whole.resized(length)
        try:
            with torch.no_grad():
                model(*tried.args, **tried.kwargs)
        except Exception as error:
            failure = failure or error
            continue
        return count(model, dict(tried.kwargs), outputs)
    return count(model, inputs, outputs)


class _Clock:
    def __init__(self, row: Row) -> None:
        self.row, self.last = row, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.row.seconds[name] = round(now - self.last, 3)
        self.last = now


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
