"""Rules of users, for ops of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import overload

from graphmerge.algebra import Equation
from graphmerge.errors import InputError
from graphmerge.rules import registry
from graphmerge.rules.aliases import plain_name
from graphmerge.rules.registry import Call, NotCovered, known_ops

UserRule = Callable[[Call], Equation | Sequence[Equation]]


@overload
def rule(op: str, *, kind: str = "custom", replace: bool = False) -> Callable[[UserRule], UserRule]: ...


@overload
def rule(op: str, equation: str, /, *more: str, kind: str = "custom", replace: bool = False) -> None: ...


def rule(
    op: str, *equations: str, kind: str = "custom", replace: bool = False
) -> Callable[[UserRule], UserRule] | None:
    """Say what an op does, so that models that call it are traced as if it had always been known.

    ``gm.rule("mylib.linear", "... i, o i -> ... o", "... i, o i, o -> ... o")`` says it in equations: the tensor
    arguments in order, then the results; the first with as many terms as the call has tensors holds. Where an equation
    depends on other arguments, ``@gm.rule("mylib.heads")`` registers a function that takes a `Call` and returns its
    equations (``call.write(...)``); it raises `NotCovered` for a use that it does not describe.

    Args:
        op: ``"mylib.op"`` or ``"mylib::op"`` for all its overloads, or ``"mylib.op.overload"`` for one.
        equations: see `graphmerge.algebra.equation.equation`.
        kind: what explanations call the op, and what names are derived from: contraction, elementwise, normalisation,
            softmax, reduction, view, attention.
        replace: take the place of a rule that exists.

    Raises:
        InputError: the op has a rule already, or the text is no equation.
    """
    key = _key(op)
    if key in known_ops() and not replace:
        raise InputError(f"op {key} has a rule already; pass replace=True to put this one in its place")

    def register(function: UserRule) -> UserRule:
        @wraps(function)
        def called(call: Call) -> list[Equation]:
            found = function(call)
            return [found] if isinstance(found, Equation) else list(found)

        registry.rule(key, kind=kind, replace=replace)(called)
        return function

    if not equations:
        return register
    for text in equations:
        if "->" not in text:
            raise InputError(f"{text!r} is no equation: arguments -> results")
    register(lambda call: _written(call, equations))
    return None


def _key(op: str) -> str:
    """As rules are kept: without the underscore of a version that works in place."""
    parts = op.replace("::", ".").split(".")
    if len(parts) not in (2, 3) or not all(parts):
        raise InputError(f"an op is named library.op, not {op!r}")
    return ".".join([parts[0], plain_name(".".join(parts)), *parts[2:]])


def _written(call: Call, equations: Sequence[str]) -> Equation:
    refs = [*call.tensors, *call.node.outputs]
    for text in equations:
        if text.partition("|")[0].replace("->", ",").count(",") == len(refs) - 1:
            return call.write(text, refs)
    raise NotCovered(f"a call with {len(refs)} tensors, results included; its rule has {' and '.join(equations)}")
