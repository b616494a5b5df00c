"""Programs to one System of equations. Traces of one model share its parameters, so the solution is their meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from graphmerge.algebra import Equation, Origin, System, Tensor, Term
from graphmerge.algebra.equation import letter_of
from graphmerge.errors import UnknownOp
from graphmerge.rules import Derived, derive, infer, pin_tensor
from graphmerge.rules.labels import new_rows, rows_of
from graphmerge.rules.registry import one_for_none
from graphmerge.trace.program import Node, Program, Ref, TensorInfo

COPY = "@"  # between the name of a constant and the number of the equation that reads this copy of it


@dataclass(frozen=True)
class Unknown:
    """A call that no rule describes: everything that it touches is pinned."""

    op: str
    node: str
    module: str
    source: str
    why: str

    def __str__(self) -> str:
        return f"{self.why}, at {self.source or 'an unknown line'} in {self.module or 'the model'} (node {self.node})"


@dataclass(frozen=True)
class Probed:
    """A call that no rule describes (``why``) whose equation was found by running its op."""

    op: str
    node: str
    module: str
    source: str
    equation: str
    why: str

    def __str__(self) -> str:
        return (
            f"{self.why}; running it gave {self.equation}, at {self.source or 'an unknown line'} "
            f"in {self.module or 'the model'} (node {self.node})"
        )


@dataclass
class Assembled:
    """The system, with what the report must say."""

    system: System = field(default_factory=System)
    unknown: list[Unknown] = field(default_factory=list)
    probed: list[Probed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def assemble(programs: Sequence[Program], strict: bool = False) -> Assembled:
    """All equations of all traces; tensors of the second and later traces get a prefix, parameters are shared.

    Raises:
        UnknownOp: with ``strict``, at the first op without a rule; what running it would tell is not asked.
    """
    result = Assembled()
    for number, program in enumerate(programs):
        _add(result, program, prefix="" if number == 0 else f"trace{number + 1}:", strict=strict)
    return result


def _add(result: Assembled, program: Program, prefix: str, strict: bool) -> None:
    def named(info: TensorInfo) -> str:
        return info.name if info.kind in ("parameter", "buffer") else prefix + info.name

    system = result.system
    names = {info.name: named(info) for info in program.tensors.values()}
    constants = {info.name: info.value for info in program.tensors.values() if info.kind == "constant"}
    nodes = live_nodes(program)
    used = {r.name for n in nodes for r in (*n.reads, *n.outputs)} | set(program.inputs)
    used |= {*program.outputs.values(), *program.decided}
    for info in program.tensors.values():
        if info.name in used or info.kind in ("parameter", "buffer"):
            shape = one_for_none(info.shape) if info.kind == "activation" else info.shape
            system.tensors.setdefault(names[info.name], Tensor(names[info.name], shape, info.kind, info.value))
    empty = {name for name, own in names.items() if own in system.tensors and 0 in system.tensors[own].shape}
    labels: dict[str, int] = {}
    for node in nodes:
        derived = derive(node, constants, labels)
        if derived.unknown is not None:
            if strict:
                found = Unknown(node.op, node.name, node.module, node.source, derived.unknown)
                raise UnknownOp(f"{found}; register a rule for it, or trace with strict=False to pin what it touches")
            why, derived = derived.unknown, infer(node, constants, derived.unknown, labels)
            if not prefix:
                _report(result, node, derived, why)
        for name, rows in new_rows(derived.equations):
            labels[name] = rows.shape[-1]
            names[rows.name] = prefix + rows.name
            system.tensors.setdefault(names[rows.name], Tensor(names[rows.name], rows.shape, "activation"))
        for eq in filter(None, (_without_empty(eq, empty) for eq in derived.equations)):
            system.equations.append(_renamed(eq, names, _copies(eq, system, names, len(system.equations))))
    system.equations += [_renamed(eq, names) for eq in _boundary(program, labels)]
    result.notes += [n for n in program.notes if n not in result.notes]


def _without_empty(eq: Equation, tensors: Set[str]) -> Equation | None:
    """A tensor without entries says nothing, but the others of an op still go together; None without others.

    ``tensors`` are those without entries, also where a rule took them for others (`one_for_none`).
    """
    empty = {letter for letter, size in eq.sizes.items() if size == 0}
    kept = [
        n
        for n, t in enumerate(eq.terms)
        if t.tensor not in tensors and not empty & {letter_of(i) for axis in t.axes for i in axis}
    ]
    if len(kept) == len(eq.terms):
        return eq
    if len(kept) < 2:
        return None
    terms = tuple(eq.terms[n] for n in kept)
    used = {letter_of(i) for t in terms for axis in t.axes for i in axis}
    return replace(
        eq,
        terms=terms,
        sizes={x: n for x, n in eq.sizes.items() if x in used},
        pins={x: why for x, why in eq.pins.items() if x in used},
        added=kept.index(eq.added) if eq.added in kept else None,
    )


def _report(result: Assembled, node: Node, derived: Derived, why: str) -> None:
    """What became of a call without a rule; the notes name each op with each of its equations once."""
    place = (node.op, node.name, node.module, node.source)
    if derived.unknown is not None:
        result.unknown.append(Unknown(*place, derived.unknown))
        return
    found = Probed(*place, "; ".join(map(str, derived.equations)), why)
    if all((p.op, p.equation) != (found.op, found.equation) for p in result.probed):
        result.notes.append(str(found))
    result.probed.append(found)


def _boundary(program: Program, labels: Mapping[str, int]) -> list[Equation]:
    """Inputs and outputs are pinned, and so is what the forward pass writes in place and what Python code saw."""
    wanted = [(key, f"input {key.removeprefix('input:')}", "input") for key in program.inputs]
    wanted += [(tensor, f"output {name}", "output") for name, tensor in program.outputs.items()]
    wanted += [(tensor, f"written in place by {op}", "mutation") for tensor, op in program.written.items()]
    wanted += [
        (tensor, f"its values decide what is computed, by {op}", "value") for tensor, op in program.decided.items()
    ]
    found = []
    for name, reason, kind in wanted:
        info = program.tensors.get(name)
        if info is not None and 0 not in info.shape:
            origin = Origin(kind, name, "", "", "pin")
            ref = Ref(name, info.shape)
            rows = [rows_of(ref, labels[name])] if name in labels else []
            found += [pin_tensor(r, reason, origin) for r in (ref, *rows)]
    return found


def _copies(eq: Equation, system: System, names: Mapping[str, str], number: int) -> dict[str, str]:
    """A copy of each constant for this equation alone: along an axis where it does not vary it ties no two readers."""
    copies = {}
    for name in dict.fromkeys(t.tensor for t in eq.terms if t.tensor is not None):
        tensor = system.tensors[names[name]]
        if tensor.kind == "constant":
            copies[name] = f"{tensor.name}{COPY}{number}"
            system.add(replace(tensor, name=copies[name]))
    return copies


def original(tensor: str) -> str:
    """The tensor that a name in the system stands for: of a constant's copy, the constant."""
    return tensor.partition(COPY)[0]


def _renamed(eq: Equation, names: Mapping[str, str], copies: Mapping[str, str] = MappingProxyType({})) -> Equation:
    """The equation with its tensors' names in the system; ``copies`` come first."""
    new = {t.tensor: copies.get(t.tensor) or names[t.tensor] for t in eq.terms if t.tensor is not None}
    if all(old == name for old, name in new.items()):
        return eq
    terms = tuple(t if t.tensor is None else Term(new[t.tensor], t.axes) for t in eq.terms)
    return Equation(terms, eq.sizes, eq.pins, eq.origin, eq.law, eq.added)


def live_nodes(program: Program) -> list[Node]:
    """Nodes that an output or a decision needs, and those that only tie a parameter which no output reads."""
    needed = _closure(program, {*program.outputs.values(), *program.decided})
    read = {r.name for n in program.nodes if n.name in needed for r in n.reads}
    idle = {i.name for i in program.tensors.values() if i.kind == "parameter" and i.name not in read}
    roots: set[str] = set()
    for node in program.nodes:  # in order: whatever an idle parameter flows into
        if node.name not in needed and any(r.name in idle for r in node.reads):
            idle |= {r.name for r in node.outputs}
            roots |= {r.name for r in node.outputs}
    needed |= _closure(program, roots)
    return [n for n in program.nodes if n.name in needed]


def _closure(program: Program, tensors: set[str]) -> set[str]:
    """Names of the nodes that these tensors depend on."""
    wanted, needed = set(tensors), set()
    for node in reversed(program.nodes):
        if any(r.name in wanted for r in node.outputs):
            needed.add(node.name)
            wanted |= {r.name for r in node.reads}
    return needed
