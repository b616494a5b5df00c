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
from graphmerge.errors import GraphMergeError


@dataclass
class Row:
    """What became of a case.

    ``status`` is proven (sound, and the derived log-order is the counted one), sound (verified, but freedom was missed
    or could not be counted), unsound, refused (with a message), crashed, or not constructible. ``attends`` says whether
    the model mixes by a softmax, which tells a Transformer from a convolutional network; None where it is not traced.
    """

    model_type: str
    model_class: str
    heads: tuple[str, ...]
    status: str = "crashed"
    why: str = ""
    groups: int = 0
    nodes: int = 0
    attends: bool | None = None
    log_order: float = 0.0
    counted: float | None = None
    error: float | None = None
    untested: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    probed: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
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
    row.attends = any("softmax" in node.op or "attention" in node.op for node in graph.programs[0].nodes)
    row.unknown = tuple(sorted({f"{u.op}: {u.why}" for u in graph.unknown}))
    row.probed = tuple(sorted({p.op for p in graph.probed}))
    found = gm.certify(model, inputs, symmetry, slices=False)
    clock.lap("certify")
    row.error, row.untested = found.verification.max_error, found.verification.untested
    row.counted = found.counted
    row.missed = tuple(f"{axis} ({axis.reason})" for axis in found.missed)
    row.why = _one_line(found.reason)
    if not found.sound or "MORE WAS DERIVED" in found.reason:
        row.status = "unsound"
    else:
        row.status = "proven" if found.complete else "sound"


class _Clock:
    def __init__(self, row: Row) -> None:
        self.row, self.last = row, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.row.seconds[name] = round(now - self.last, 3)
        self.last = now


def _short(error: Exception) -> str:
    return _one_line(str(error))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:400]
