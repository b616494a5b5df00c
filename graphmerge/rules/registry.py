"""One rule for each op: a call of the op in, equations out. A rule returns equations, nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from graphmerge.algebra import Equation, EquationError, Origin, Term, equation
from graphmerge.algebra.equation import AxisExpr, drop_units, length_of, letter_of
from graphmerge.rules.aliases import plain_name
from graphmerge.rules.labels import about_labels, permutes_only, rows_of
from graphmerge.rules.laws import added_term, law_of
from graphmerge.trace.program import Node, Ref

Rule = Callable[["Call"], list[Equation]]
_RULES: dict[str, tuple[Rule, str]] = {}


@dataclass
class Call:
    """What a rule sees: the arguments of one op, and makers of equations that know where they come from."""

    node: Node
    kind: str = ""
    constants: Mapping[str, Any] = field(default_factory=dict)  # values of constant tensors, by name
    labels: Mapping[str, int] = field(default_factory=dict)  # of tensors whose entries name units: how many there are

    def arg(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or keyword."""
        if position < len(self.node.args):
            return self.node.args[position]
        return self.node.kwargs.get(name, default)

    @property
    def out(self) -> Ref:
        return self.node.outputs[0]

    @property
    def tensors(self) -> list[Ref]:
        """All tensor arguments, in order."""
        return self.node.reads

    def rows(self, ref: Ref) -> Ref | None:
        """The rows of a tensor of labels (`graphmerge.rules.labels`); None if it holds none."""
        return rows_of(ref, self.labels[ref.name]) if ref.name in self.labels else None

    @property
    def origin(self) -> Origin:
        return Origin(self.node.op, self.node.name, self.node.module, self.node.source, self.kind)

    @property
    def reason(self) -> str:
        """Why this call pins what it pins."""
        return f"{self.kind} by {self.node.op}"

    def write(self, text: str, refs: Sequence[Ref], sizes: Mapping[str, int] | None = None) -> Equation:
        """An equation as text; see `graphmerge.algebra.equation`."""
        names, shapes = [r.name for r in refs], [r.shape for r in refs]
        return equation(text, names, shapes, sizes, self.reason, self.origin)

    def terms(
        self,
        refs: Sequence[tuple[Ref, Sequence[AxisExpr]]],
        sizes: Mapping[str, int],
        pins: Iterable[str] = (),
        virtual: Sequence[Sequence[str]] = (),
    ) -> Equation:
        """An equation from terms; sizes of unused letters are ignored.

        Raises:
            EquationError: a term does not fit the shape of its tensor.
        """
        terms = [Term(r.name, tuple(drop_units(tuple(a), sizes) for a in axes)) for r, axes in refs]
        for (ref, _), term in zip(refs, terms):
            lengths = [math.prod(length_of(i, sizes) for i in axis) for axis in term.axes]
            if lengths != list(ref.shape):
                raise EquationError(f"the axes of {ref.name} come out as {lengths}, its shape is {ref.shape}")
        terms += [Term(None, tuple((x,) for x in letters)) for letters in virtual]
        used = {letter_of(i) for t in terms for a in t.axes for i in a}
        return Equation(
            tuple(terms),
            {x: n for x, n in sizes.items() if x in used},
            {x: self.reason for x in pins if x in used},
            self.origin,
        )

    def pin_all(self, refs: Sequence[Ref], reason: str) -> list[Equation]:
        """No axis of these tensors may move."""
        return [pin_tensor(ref, reason, self.origin) for ref in refs if ref.shape]


def pin_tensor(ref: Ref, reason: str, origin: Origin) -> Equation:
    """Pin every axis of one tensor."""
    letters = [f"x{k}" for k in range(len(ref.shape))]
    axes = tuple((x,) for x in letters)
    return Equation((Term(ref.name, axes),), dict(zip(letters, ref.shape)), dict.fromkeys(letters, reason), origin)


def op_key(op: str) -> str:
    """``aten.add_.Tensor`` and ``aten.add.Scalar`` share the key ``aten.add``; an overload may have its own rule."""
    namespace, _, rest = op.partition(".")
    overload = rest.partition(".")[2]
    base = plain_name(op)
    full = f"{namespace}.{base}.{overload}"
    return full if full in _RULES else f"{namespace}.{base}"


def rule(*ops: str, kind: str, replace: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule under op names, ``aten.linear`` (all overloads) or ``aten.view.dtype`` (one).

    With ``replace``, in the place of those that they have.

    Raises:
        ValueError: an op that has a rule already.
    """

    def register(function: Rule) -> Rule:
        for op in ops:
            if op in _RULES and not replace:
                raise ValueError(f"op {op} has a rule already: {_RULES[op][0].__name__}")
            _RULES[op] = (function, kind)
        return function

    return register


def known_ops() -> list[str]:
    """All op names with a rule, sorted."""
    return sorted(_RULES)


@dataclass(frozen=True)
class Derived:
    """Equations of one node; ``unknown`` says why everything was pinned instead, if it was."""

    equations: list[Equation]
    unknown: str | None = None


def derive(node: Node, constants: Mapping[str, Any], labels: Mapping[str, int] = MappingProxyType({})) -> Derived:
    """Equations of one call. An op without a rule, or a rule that does not fit, pins every axis that the op touches."""
    found = _RULES.get(op_key(node.op))
    kind = found[1] if found else "unknown op"
    call = Call(inhabited(node, constants) if kind in ANY_SIZE else node, kind, constants, labels)
    outputs = [r for r in node.outputs if r.shape]
    if found is None:
        why = f"unknown op {node.op}"
    else:
        try:
            law, bias = law_of(node, call.kind), added_term(node)
            equations = [replace(eq, law=law, added=bias) for eq in found[0](call)]
            equations += about_labels(call, equations)
            return Derived([replace(eq, law="pointwise") if permutes_only(eq) else eq for eq in equations])
        except Exception as error:  # whatever a rule trips over, pinning is sound, and it is said
            why = f"no rule for this use of {node.op}: {error}"
    return Derived([*call.pin_all([*call.tensors, *outputs], why), *about_labels(call, [])], why)


# what these ops say does not depend on how many entries an axis has
ANY_SIZE = (
    "attention", "contraction", "elementwise", "expand", "identity", "look-up", "normalisation", "permute", "reduction",
    "softmax", "view",
)  # fmt: skip


def one_for_none(shape: tuple[int, ...]) -> tuple[int, ...]:
    """An axis without units as one of a single unit, which says as little."""
    return tuple(n or 1 for n in shape)


def inhabited(node: Node, constants: Mapping[str, Any]) -> Node:
    """The same call on tensors that have entries: a branch that gets none in the trace ties what it would tie."""
    every = [*node.reads, *node.outputs]
    if not any(0 in ref.shape for ref in every) or any(0 in r.shape and r.name in constants for r in every):
        return node

    def filled(value: Any) -> Any:
        if isinstance(value, Ref):
            return replace(value, shape=one_for_none(value.shape))
        return tuple(map(filled, value)) if isinstance(value, tuple) else value

    kwargs = {name: filled(value) for name, value in node.kwargs.items()}
    return replace(node, args=filled(node.args), kwargs=kwargs, outputs=filled(node.outputs))


class NotCovered(Exception):  # noqa: N818  (caught by derive)
    """A use of an op that its rule does not describe."""


def broadcast(ref: Ref, letters: Sequence[str], sizes: Mapping[str, int]) -> list[AxisExpr]:
    """Axes of ``ref`` aligned at the right with ``letters``; an axis of size 1 where the letter is longer has none."""
    own = letters[len(letters) - len(ref.shape) :]
    return [(x,) if n == sizes[x] else () for x, n in zip(own, ref.shape)]


def axis_letters(rank: int) -> list[str]:
    return [f"x{k}" for k in range(rank)]


def normal_dims(dims: Any, rank: int) -> tuple[int, ...]:
    """Non-negative dims; None or () means all."""
    if dims is None or dims == ():
        return tuple(range(rank))
    return tuple(d % rank for d in (dims if isinstance(dims, tuple) else (dims,))) if rank else ()
