"""Is a derived symmetry all there is? An exact count at a tiny size decides."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import torch

from graphmerge.certificate.derived import Factor, factors
from graphmerge.certificate.locate import Freedom, locate
from graphmerge.certificate.subject import Subject, subject_of
from graphmerge.certify import CertifyError, Drawn, draw, traded_slices
from graphmerge.certify.coloured import log_order
from graphmerge.certify.count import SAME
from graphmerge.certify.nodes import LIMIT
from graphmerge.certify.refine import log_bound
from graphmerge.graph import trace
from graphmerge.symmetry import Symmetry
from graphmerge.trace.capture import NEW_VALUE
from graphmerge.trace.inputs import Inputs
from graphmerge.verify import Verification, verify

EXACT: Final = 400_000  # nodes of a graph whose automorphisms are searched for where colours alone do not tell
UNSEEN: Final = (
    "either unsound in a way that the verification did not see, or it holds for a reason that the scalar graph does "
    "not show"
)


@dataclass(frozen=True)
class Certificate:
    """What was derived, what was counted, and whether they agree.

    Attributes:
        complete: True if the derived symmetry holds and has as many elements as there are automorphisms; False if it
            does not; None if they could not all be counted (``reason``), so that soundness alone is known.
        log_order: natural log of the number of elements derived.
        counted: natural log of the number of automorphisms that move units of axes; None where not counted.
        slices_log_order: natural log of how many times more there are if whole slices of one tensor trade places too.
        slices: the tensors in which they do.
        missed: axes on which more can move than was derived, or may, if ``counted`` is None.
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
    verification: Verification
    symmetry: Symmetry = field(repr=False)
    model: str
    shrunk: Mapping[str, tuple[Any, Any]]
    reason: str
    seconds: float
    counted: float | None = None
    slices_log_order: float = 0.0
    slices: tuple[str, ...] = ()
    missed: tuple[Freedom, ...] = ()
    length: int | None = None
    nodes: int = 0
    edges: int = 0

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
    slices: bool = True,
) -> Certificate:
    """Derive the symmetry of a model, verify it, and count exactly how many permutations there are.

    The count takes another way than the derivation: it unrolls the model into one node for each scalar operation and
    counts the automorphisms of that graph. The derived elements are among them, so equal numbers prove that none was
    missed. A bound from above that the derivation meets proves it too (`graphmerge.certify.refine`); where it does not,
    BLISS counts exactly (`graphmerge.certify.count`). A Hugging Face model that is too large to be unrolled is
    certified on a copy with the same config made tiny, of which ``Certificate.shrunk`` says what was changed.

    Args:
        model: any module. The values of its parameters do not matter.
        example_inputs: a dict for ``model(**inputs)`` or a tuple for ``model(*inputs)``; None derives them from the
            class and config of a Hugging Face model.
        symmetry: what to certify; None derives it. One that is given is held against the model as it is.
        outputs: names of the outputs that count as the function; None takes those that `graphmerge.trace` takes.
        seed: of the weights and elements that the verification draws.
        limit: how many scalar operations are too many.
        slices: count the swaps of whole slices too, which takes as long again.

    Raises:
        TraceError: the model cannot be run on these inputs, or no inputs are known.
    """
    start = time.perf_counter()
    subject = subject_of(model, example_inputs, shrinking=symmetry is None)
    derived = trace(subject.model, subject.inputs, outputs).symmetry() if symmetry is None else symmetry
    verified = verify(subject.model, derived, subject.inputs, outputs=outputs, seed=seed, shrunk=False)
    known: dict[str, Any] = {
        "log_order": derived.log_order(),
        "verification": verified,
        "symmetry": derived,
        "model": type(subject.model).__name__,
        "shrunk": subject.shrunk,
    }
    names = tuple(name for name in verified.outputs if not name.startswith(NEW_VALUE))
    held = _count(subject, names, derived, limit)
    if isinstance(held, str):
        reason = held if verified.ok else f"UNSOUND: {verified.wrong}; {held}"
        return Certificate(None if verified.ok else False, reason=reason, seconds=time.perf_counter() - start, **known)
    more, traded = _slices(subject, names, held, limit) if slices else (0.0, ())
    return Certificate(
        complete=_complete(held, verified),
        counted=held.counted,
        slices_log_order=more,
        slices=traded,
        missed=locate(held.drawn, held.factors, derived) if held.surplus > SAME else (),
        reason=_verdict(held, verified),
        length=held.inputs.length,
        nodes=len(held.drawn.graph.colours),
        edges=len(held.drawn.graph.edges),
        seconds=time.perf_counter() - start,
        **known,
    )


@dataclass(frozen=True)
class _Held:
    """A scalar graph, and the factors of the derived symmetry that its automorphisms are held against."""

    drawn: Drawn
    inputs: Inputs
    factors: tuple[Factor, ...]

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Groups of which something moves only entries that no output of the counted run depends on."""
        return tuple(dict.fromkeys(f.group for f in self.factors if not self._read(f)))

    @cached_property
    def derived(self) -> float:
        """Log-order of what was derived, of what outputs depend on."""
        return math.fsum(f.log_order for f in self.factors if self._read(f))

    @cached_property
    def bound(self) -> float:
        """What the log-order of the automorphisms cannot exceed."""
        return log_bound(self.drawn.graph)

    @cached_property
    def counted(self) -> float | None:
        """Log-order of the automorphisms; None if they are at most as many as ``bound`` says, and too many to search.

        A bound that the derivation reaches is the number, as the derived elements are automorphisms.
        """
        if self.bound <= self.derived + SAME:
            return self.bound
        return log_order(self.drawn.graph) if len(self.drawn.graph.colours) <= EXACT else None

    @property
    def surplus(self) -> float:
        """How much larger the log-order of the automorphisms is, or may be, than the derived one."""
        return (self.bound if self.counted is None else self.counted) - self.derived

    def _read(self, factor: Factor) -> bool:
        return any(entry in self.drawn.graph.entries for move in factor.moves for entry in move)


def _slices(subject: Subject, outputs: tuple[str, ...], held: _Held, limit: int) -> tuple[float, tuple[str, ...]]:
    """By how much the log-order grows where slices may trade places, and where; nothing if that is not known."""
    if held.counted is None:
        return 0.0, ()
    whole = draw(subject.model, held.inputs.kwargs or held.inputs.args, outputs, limit, tell_slices=False)
    return traded_slices(held.drawn, whole, held.counted)


def _count(subject: Subject, outputs: tuple[str, ...], derived: Symmetry, limit: int) -> _Held | str:
    """The least count over the lengths, or why there is none.

    A permutation that leaves the function alone does so at every length, so that each count is a bound from above. The
    first that meets the derivation ends the search. A second length with the count of the first leaves only the length
    that is given to try, which is more work: a model that halves its sequence may need so many positions.
    """
    best: _Held | None = None
    settled = False
    for inputs in subject.at_lengths():
        if settled and inputs is not subject.inputs:
            continue
        try:
            drawn = draw(subject.model, inputs.kwargs or inputs.args, outputs, limit)
            parts = best.factors if best else tuple(factors(derived, drawn.tensors))  # entries have the same numbers
            held = _Held(drawn, inputs, parts)
            surplus = held.surplus
        except CertifyError as error:
            return best or str(error)
        settled = settled or (best is not None and abs(surplus - best.surplus) < SAME)
        if best is None or (len(held.unread), surplus) < (len(best.unread), best.surplus - SAME):
            best = held
        if best.surplus <= SAME and not best.unread:
            break
    return best or "the model runs on none of the lengths that were tried"


def _complete(held: _Held, verified: Verification) -> bool | None:
    if not verified.ok or held.surplus < -SAME or (held.surplus > SAME and held.counted is not None):
        return False
    return None if held.unread or held.counted is None else True


def _verdict(held: _Held, verified: Verification) -> str:
    """What is wrong, in a sentence; empty if the derivation holds and is complete."""
    wrong = [] if verified.ok else [f"UNSOUND: {verified.wrong}"]
    if held.surplus > SAME:
        times = f"{math.exp(min(held.surplus, 700)):.6g} times as many permutations as were derived"
        if held.counted is None:
            wrong.append(
                f"there are at most {times}; the graph has more than {EXACT:,} nodes, too many to count exactly"
            )
        else:
            wrong.append(f"there are {times}")
    elif held.surplus < -SAME:
        tested = "unsound, as the verification shows" if wrong else UNSEEN
        times = math.exp(min(-held.surplus, 700))
        wrong.append(
            f"MORE WAS DERIVED THAN THERE IS: the derived symmetry has {times:.6g} times as many elements as were "
            f"counted; it is {tested}"
        )
    if held.unread:
        where = f" at {held.inputs.length} positions" if held.inputs.length else ""
        wrong.append(f"no output depends on what these groups move{where}: {', '.join(held.unread[:8])}")
    return "; ".join(wrong)
