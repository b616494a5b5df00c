"""Indices that name units: what topk, sort and argmax return.

A tensor of labels says as much as rows of zeros with a single one: ``labels[b, k]`` is e where ``rows[b, k, e]`` is 1.
The rows stand beside the labels in the system, as a tensor of their own. What look-ups do with labels are contractions
with the rows, which tie e on both sides: a router's rows to its experts. An op that is not written for labels reads
them as numbers, which pins e.

Units of equal value are ranked by their place, which no permutation keeps. Where that happens with weights as they are
drawn at random, the verification shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from graphmerge.algebra import Equation, Term
from graphmerge.algebra.equation import AxisExpr, letter_of
from graphmerge.trace.program import Ref

if TYPE_CHECKING:
    from graphmerge.rules.registry import Call

ROWS = ":rows"  # ends the name of the rows of a tensor of labels
UNIT = "unit"  # the letter of what rows are about
MOVING = ("identity", "view", "permute", "expand", "slice", "cat")  # kinds of ops that leave entries as they are
WHOLE = (torch.int32, torch.int64)  # dtypes that hold every label
NOT_MOVING = ("aten.pad", "aten.constant_pad_nd")  # what they add names a unit too


def rows_of(labels: Ref, units: int) -> Ref:
    """The rows of a tensor that labels ``units`` units."""
    return Ref(labels.name + ROWS, (*labels.shape, units))


def new_rows(equations: Sequence[Equation]) -> Iterator[tuple[str, Ref]]:
    """Tensors of labels that these equations speak of, and their rows."""
    for eq in equations:
        for term in eq.terms:
            if term.tensor is not None and term.tensor.endswith(ROWS):
                yield term.tensor.removesuffix(ROWS), Ref(term.tensor, eq.shape_of(term))


def permutes_only(eq: Equation) -> bool:
    """Units are named one by one, by labels or along a diagonal: no map but a permutation commutes."""
    if any(t.tensor is not None and t.tensor.endswith(ROWS) for t in eq.terms):
        return True
    letters = [[letter_of(item) for axis in term.axes for item in axis] for term in eq.terms]
    return any(len(set(own)) < len(own) for own in letters)


def named(
    call: Call, held: Ref, axes: Sequence[AxisExpr], letter: str, units: int
) -> tuple[Ref, list[AxisExpr]] | None:
    """The rows of an index as a term, if it labels as many units as ``letter`` has; else None: its numbers count."""
    rows = call.rows(held)
    return None if rows is None or rows.shape[-1] != units else (rows, [*axes, (letter,)])


def about_labels(call: Call, equations: Sequence[Equation]) -> list[Equation]:
    """What must be said of the labels that an op reads: moved along, or pinned if the rule does not speak of them."""
    held = [r for r in dict.fromkeys(call.tensors) if r.name in call.labels]
    if not held:
        return []
    lifted = _lifted(call, equations)
    if lifted is not None:
        return lifted
    spoken = {t.tensor for eq in equations for t in eq.terms}
    return [_pinned(call, ref) for ref in held if ref.name + ROWS not in spoken]


def _pinned(call: Call, labels: Ref) -> Equation:
    rows = call.rows(labels)
    assert rows is not None
    axes: list[AxisExpr] = [(f"x{d}",) for d in range(len(labels.shape))]
    sizes = {f"x{d}": n for d, n in enumerate(labels.shape)} | {UNIT: rows.shape[-1]}
    eq = call.terms([(rows, [*axes, (UNIT,)])], sizes)
    return replace(eq, pins={UNIT: f"{call.node.op} reads labels as numbers"})


def _lifted(call: Call, equations: Sequence[Equation]) -> list[Equation] | None:
    """Labels that are only moved: their rows move likewise. None if the op does more, or not all of it is labels."""
    read = [r for r in dict.fromkeys(call.tensors) if any(t.tensor == r.name for eq in equations for t in eq.terms)]
    units = {call.labels.get(r.name) for r in read}
    if call.kind not in MOVING or call.node.op.startswith(NOT_MOVING) or len(units) != 1 or None in units:
        return None
    if any(isinstance(a, torch.dtype) and a not in WHOLE for a in (*call.node.args, *call.node.kwargs.values())):
        return None
    (count,) = units
    assert count is not None
    return [_with_rows(eq, count) for eq in equations]


def _with_rows(eq: Equation, count: int) -> Equation:
    """The same for the rows: one more axis in every term."""
    terms = (Term(None if t.tensor is None else t.tensor + ROWS, (*t.axes, (UNIT,))) for t in eq.terms)
    return replace(eq, terms=tuple(terms), sizes={**eq.sizes, UNIT: count})


def compared(call: Call) -> Equation | None:
    """``labels[..., None] == arange(units)``: the rows themselves, spelled out. None if a call is something else."""
    given = call.tensors
    held = next((r for r in given if r.name in call.labels), None)
    other = next((r for r in given if r is not held), None)
    value = None if other is None else call.constants.get(other.name)
    if held is None or other is None or value is None:
        return None
    units, rank = call.labels[held.name], len(call.out.shape)
    shape = (1,) * (rank - value.ndim) + value.shape
    own = (1,) * (rank - len(held.shape)) + held.shape
    along = [d for d, n in enumerate(shape) if n > 1]
    if len(along) != 1 or own[along[0]] != 1 or not np.array_equal(value.reshape(-1), np.arange(units)):
        return None
    letters = [f"x{d}" for d in range(rank)]
    sizes = dict(zip(letters, call.out.shape))
    full: list[AxisExpr] = [(c,) for c in letters]
    seen: list[AxisExpr] = [(c,) if n > 1 else () for c, n in zip(letters, own)]
    seen = seen[rank - len(held.shape) :]
    rows = named(call, held, seen, letters[along[0]], units)
    assert rows is not None
    return call.terms([(held, seen), rows, (call.out, full)], sizes)
