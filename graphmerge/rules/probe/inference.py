"""The equation of an op that has no rule, from running it: what `derive` cannot say, evidence may.

The op is run in float64 on drawn arguments, at small sizes and at the traced ones. Axes that move together get a letter
(`ties.py`), letters that may not be permuted differently for each unit of another get virtual terms (`over.py`), all
other axes are pinned. Whatever does not hold in every run is pinned; an op that cannot be run, that is random or has a
memory, that writes into its arguments, or whose results hardly depend on them, is pinned as a whole.

Evidence is no proof: an op that does something else in a region that was never drawn (entries beyond 1e12) is not found
out. ``strict`` accepts nothing that is inferred.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from graphmerge.rules.labels import about_labels
from graphmerge.rules.probe.isolate import Crashed, Hung, isolated
from graphmerge.rules.probe.over import Letters, all_hold, bases_of, shared_pins
from graphmerge.rules.probe.subject import NotInferred, Subject
from graphmerge.rules.probe.ties import find_ties
from graphmerge.rules.probe.trials import check_still_same, gather
from graphmerge.rules.registry import Call, Derived, Ref
from graphmerge.trace.program import Node

KIND = "inferred"
Axes = tuple[tuple[str, ...], ...]  # the letter of each axis of one tensor; () for an axis of size 1


@dataclass(frozen=True)
class Pattern:
    """What running an op told: letters for each argument and result, and virtual terms. ``why`` if it told nothing."""

    terms: tuple[Axes, ...] = ()
    pins: tuple[str, ...] = ()
    virtual: tuple[tuple[str, ...], ...] = ()
    why: str = ""
    seconds: float = 0.0


_CACHE: dict[Any, Pattern] = {}


def infer(
    node: Node, constants: Mapping[str, Any], why: str, labels: Mapping[str, int] = MappingProxyType({})
) -> Derived:
    """Equations of a call that no rule describes; everything is pinned if running it does not tell them.

    Args:
        node: the call.
        constants: values of constant tensors, by name.
        why: what `derive` said.
        labels: of tensors whose entries name units how many there are; read as numbers, they pin them.
    """
    call = Call(node, KIND, constants, labels)
    pattern = probe(node, constants)
    outputs = [r for r in node.outputs if r.shape]
    if pattern.why:
        why = f"{why}, and {pattern.why}"
        return Derived([*call.pin_all([*call.tensors, *outputs], why), *about_labels(call, [])], why)
    terms = [(r, axes) for r, axes in zip([*call.tensors, *node.outputs], pattern.terms) if 0 not in r.shape]
    sizes = {x: n for r, axes in terms for axis, n in zip(axes, r.shape) for x in axis}
    equation = call.terms(terms, sizes, pattern.pins, pattern.virtual)
    reason = f"the units of this axis of {node.op} are not alike (found by running it)"
    return Derived([replace(equation, pins=dict.fromkeys(equation.pins, reason)), *about_labels(call, [])])


def probe(node: Node, constants: Mapping[str, Any]) -> Pattern:
    """Run an op, once a process for equal arguments; if it crashes, once more at the traced sizes alone."""
    key = _signature(node, constants)
    if key not in _CACHE:
        started = time.perf_counter()
        pattern = _safely(node, constants)
        _CACHE[key] = replace(pattern, seconds=time.perf_counter() - started)
    return _CACHE[key]


def _safely(node: Node, constants: Mapping[str, Any]) -> Pattern:
    try:
        try:
            return isolated(lambda: _pattern_of(node, constants, careful=False))
        except Crashed:
            return isolated(lambda: _pattern_of(node, constants, careful=True))
    except (Crashed, Hung) as reason:
        return Pattern(why=f"running it does not tell: {reason}")


def _pattern_of(node: Node, constants: Mapping[str, Any], careful: bool) -> Pattern:
    try:
        with torch.random.fork_rng(devices=[]):
            return _found(Subject(node, constants, careful), [r.shape for r in node.outputs])
    except NotInferred as reason:
        return Pattern(why=f"running it does not tell: {reason}")
    except Exception as error:  # whatever an op does, pinning is sound, and it is said
        return Pattern(why=f"running it failed: {type(error).__name__}: {error}")


def _signature(node: Node, constants: Mapping[str, Any]) -> Any:
    """Equal for calls of one op on arguments of equal shapes, dtypes and values."""

    def sign(value: Any) -> Any:
        if isinstance(value, Ref):
            held = constants.get(value.name)
            values = None if held is None else hashlib.sha256(held.tobytes()).hexdigest()
            return "tensor", value.shape, str(value.dtype), values
        return tuple(map(sign, value)) if isinstance(value, tuple) else repr(value)

    kwargs = tuple((k, sign(v)) for k, v in node.kwargs.items())
    return node.op, sign(node.args), kwargs, tuple(r.shape for r in node.outputs)


def _found(subject: Subject, outputs: list[tuple[int, ...]]) -> Pattern:
    evidence = gather(subject, outputs)
    ties = find_ties(subject, evidence)
    if not ties:
        raise NotInferred("it leaves no axis free")
    letters = Letters({f"x{k}": tie for k, tie in enumerate(ties)}, {})
    tied = {axis for tie in ties for axis in tie}
    shapes = [*(slot.shape for slot in subject.slots), *outputs]
    pinned = [(k, d) for k, x in enumerate(shapes) for d, n in enumerate(x) if n > 1 and (k, d) not in tied]
    letters.pinned = shared_pins(subject, evidence, letters, pinned)
    shared = {axis for axes in letters.pinned.values() for axis in axes}
    letters.pinned |= {f"q{n}": (axis,) for n, axis in enumerate(pinned) if axis not in shared}
    bases = bases_of(subject, evidence, letters)
    if not all_hold(subject, evidence, letters, bases):
        bases = dict.fromkeys(letters.free, ())
        if not all_hold(subject, evidence, letters, bases):
            raise NotInferred("its axes move alone but not together")
    check_still_same(subject, evidence.search)
    return _pattern(letters, bases, shapes)


def _pattern(letters: Letters, bases: Mapping[str, tuple[str, ...]], shapes: list[tuple[int, ...]]) -> Pattern:
    """A virtual term for each letter that may be over fewer letters than the terms say, or is twice in one."""
    terms = []
    for tensor, shape in enumerate(shapes):
        on = {dim: letter for letter, dims in letters.on(tensor).items() for dim in dims}
        terms.append(tuple((on[dim],) if dim in on else () for dim in range(len(shape))))
    alone = [s for s in letters.free if not letters.once(s) or set(letters.companions(s)) != set(bases[s])]
    virtual = [tuple(sorted((s, *bases[s]))) for s in alone]
    return Pattern(tuple(terms), tuple(letters.pinned), tuple(dict.fromkeys(virtual)))
