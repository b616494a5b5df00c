"""Is a derived symmetry all there is? An exact count at a tiny size decides."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from graphmerge.certificate.derived import factors
from graphmerge.certificate.locate import SAME, Freedom, locate
from graphmerge.certificate.subject import Subject, subject_of
from graphmerge.certify import CertifyError, Count, count
from graphmerge.certify.nodes import LIMIT
from graphmerge.graph import trace
from graphmerge.symmetry import Symmetry
from graphmerge.trace.capture import NEW_VALUE
from graphmerge.verify import Verification, verify

UNSEEN: Final = (
    "either unsound in a way that the verification did not see, or it holds for a reason that the scalar graph does "
    "not show"
)


@dataclass(frozen=True)
class Certificate:
    """What was derived, what was counted, and whether they agree.

    Attributes:
        complete: True if the derived symmetry holds and has as many elements as there are automorphisms; False if it
            does not; None if they could not be counted (``reason``), so that soundness alone is known.
        log_order: natural log of the number of elements derived.
        counted: natural log of the number of automorphisms that move units of axes; None where not counted.
        slices_log_order: natural log of how many times more there are if whole slices of one tensor trade places too.
        slices: the tensors in which they do.
        missed: axes on which more can move than was derived.
        reason: why there is no count, or what is wrong; empty if complete.
        verification: what random elements of the symmetry did to the outputs.
        symmetry: what was certified.
        model: class of the model.
        shrunk: settings of the config that were made small for the count, from and to; empty if nothing was.
        length: positions of the counted run, if its inputs have a length.
        nodes: vertices of the counted graph.
        edges: its edges.
        seconds: what everything took.
    """

    complete: bool | None
    log_order: float
    counted: float | None
    slices_log_order: float
    slices: tuple[str, ...]
    missed: tuple[Freedom, ...]
    reason: str
    verification: Verification
    symmetry: Symmetry = field(repr=False)
    model: str
    shrunk: Mapping[str, tuple[Any, Any]]
    length: int | None
    nodes: int
    edges: int
    seconds: float

    @property
    def sound(self) -> bool:
        """Random elements of the symmetry left every output unchanged."""
        return self.verification.ok


def certify(
    model: torch.nn.Module,
    example_inputs: Any = None,
    symmetry: Symmetry | None = None,
    *,
    outputs: tuple[str, ...] | None = None,
    seed: int = 0,
    limit: int = LIMIT,
) -> Certificate:
    """Derive the symmetry of a model, verify it, and count exactly how many permutations there are.

    The count takes another way than the derivation: it unrolls the model into one node for each scalar operation and
    counts the automorphisms of that graph (`graphmerge.certify.count`). The derived elements are among them, so equal
    numbers prove that none was missed. A Hugging Face model that is too large to be unrolled is certified on a copy
    with the same config made tiny, of which ``Certificate.shrunk`` says what was changed.

    Args:
        model: any module. The values of its parameters do not matter.
        example_inputs: a dict for ``model(**inputs)`` or a tuple for ``model(*inputs)``; None derives them from the
            class and config of a Hugging Face model.
        symmetry: what to certify; None derives it. One that is given is held against the model as it is.
        outputs: names of the outputs that count as the function; None takes those that `graphmerge.trace` takes.
        seed: of the weights and elements that the verification draws.
        limit: how many scalar operations are too many.

    Raises:
        TraceError: the model cannot be run on these inputs, or no inputs are known.
    """
    start = time.perf_counter()
    subject = subject_of(model, example_inputs, shrinking=symmetry is None)
    graph = trace(subject.model, subject.inputs, outputs)
    derived = graph.symmetry() if symmetry is None else symmetry
    verified = verify(subject.model, derived, subject.inputs, outputs=outputs, seed=seed)
    names = tuple(name for name in graph.programs[0].outputs if not name.startswith(NEW_VALUE))
    found, length, reason = _count(subject, names, derived.log_order(), limit)
    missed: tuple[Freedom, ...] = ()
    if found is not None:
        reason = _verdict(found, derived, verified)
        if found.log_order > derived.log_order() + SAME:
            missed = locate(found, list(factors(derived, found.tensors)), derived)
    elif not verified.ok:
        reason = f"{_broken(verified)}; {reason}"
    return Certificate(
        complete=not reason if found is not None or not verified.ok else None,
        log_order=derived.log_order(),
        counted=None if found is None else found.log_order,
        slices_log_order=0.0 if found is None else found.slices_log_order,
        slices=() if found is None else found.slices,
        missed=missed,
        reason=reason,
        verification=verified,
        symmetry=derived,
        model=type(subject.model).__name__,
        shrunk=subject.shrunk,
        length=length,
        nodes=0 if found is None else found.nodes,
        edges=0 if found is None else found.edges,
        seconds=time.perf_counter() - start,
    )


def _count(
    subject: Subject, outputs: tuple[str, ...], derived: float, limit: int
) -> tuple[Count | None, int | None, str]:
    """The least count over the lengths, the length, or why there is none.

    A permutation that leaves the function alone does so at every length, so that each count is a bound from above. The
    first that meets the derivation ends the search, and so does a second length with the count of the first.
    """
    best: Count | None = None
    length, reason = None, ""
    for inputs in subject.at_lengths():
        try:
            found = count(subject.model, inputs.kwargs or inputs.args, outputs, limit)
        except CertifyError as error:
            reason = str(error)
            break
        settled = best is not None and abs(found.log_order - best.log_order) < SAME
        if best is None or found.log_order < best.log_order - SAME:
            best, length = found, inputs.length
        if best.log_order <= derived + SAME or settled:
            break
    return best, length, "" if best is not None else reason


def _verdict(found: Count, derived: Symmetry, verified: Verification) -> str:
    """What is wrong, in a sentence; empty if the derivation holds and is complete."""
    surplus = found.log_order - derived.log_order()
    wrong = [] if verified.ok else [_broken(verified)]
    if surplus > SAME:
        wrong.append(f"there are {math.exp(min(surplus, 700)):.6g} times as many permutations as were derived")
    elif surplus < -SAME:
        tested = "unsound, as the verification shows" if wrong else UNSEEN
        wrong.append(
            f"MORE WAS DERIVED THAN THERE IS: {derived.log_order():.6f} against {found.log_order:.6f} counted; the "
            f"symmetry is {tested}"
        )
    return "; ".join(wrong)


def _broken(verified: Verification) -> str:
    named = ", ".join(verified.culprits) or "several groups together"
    return f"UNSOUND: {named} change the outputs by {verified.max_error:.1e}"
