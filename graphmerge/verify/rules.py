"""Is a rule right? The op itself is asked: permuting what its equations leave free must permute its results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from graphmerge.algebra import System, Tensor, solve
from graphmerge.errors import InputError, NotEquivariant
from graphmerge.graph.kinds import find_kinds
from graphmerge.graph.layout import groups_of, layout_of
from graphmerge.graph.roles import Flow
from graphmerge.rules import Derived, derive, infer
from graphmerge.rules.probe.draws import REGIMES, draw_all
from graphmerge.rules.probe.subject import NotInferred, Subject, same
from graphmerge.symmetry import Pin, Symmetry
from graphmerge.trace.program import Node, Ref


@dataclass(frozen=True)
class RuleCheck:
    """What the op said about its rule.

    Attributes:
        equations: what the rule says about this call.
        broken: axes that the rule lets move although the results do not follow.
        missed: what running the op alone tells, if that leaves more freedom than the rule; "" if not.
        draws: how many sets of arguments were tried.
    """

    equations: tuple[str, ...]
    broken: tuple[str, ...]
    missed: str
    draws: int

    @property
    def ok(self) -> bool:
        return not self.broken

    def require(self) -> None:
        """Raise unless ``ok``.

        Raises:
            NotEquivariant: naming the axes.
        """
        if self.broken:
            raise NotEquivariant(
                f"{'; '.join(self.equations)} is wrong: the results do not follow permutations of "
                f"{', nor of '.join(self.broken)}"
            )


def check_rule(op: str, *args: Any, **kwargs: Any) -> RuleCheck:
    """Hold the rule of an op against the op, run in float64 on these arguments and on others of their shapes.

    Args:
        op: ``"mylib.op"`` or ``"mylib.op.overload"``.
        args: arguments of one call: tensors (in lists, too) and anything else that the op takes.
        kwargs: further arguments of it.

    Raises:
        InputError: the op cannot be run on them, or has no rule for them.
    """
    name = op.replace("::", ".")
    name = name if name.count(".") == 2 else f"{name}.default"
    values: list[torch.Tensor] = []
    held = tuple(_described(a, values) for a in args)
    named = {k: _described(a, values) for k, a in kwargs.items()}
    try:
        subject = Subject(Node("out", name, held, named, ()), {})
        given = [v.detach().to(s.dtype) for s, v in zip(subject.slots, values)]
        results = subject.run(given)
    except Exception as error:
        raise InputError(f"{name} cannot be run on these arguments: {error}") from error
    node = Node("out", name, held, named, tuple(Ref(f"out.{k}", tuple(r.shape)) for k, r in enumerate(results)))
    derived = derive(node, {})
    if derived.unknown is not None:
        raise InputError(f"{derived.unknown}; register one with gm.rule")
    symmetry = _symmetry(node, given, derived)
    broken, draws = _broken(subject, node, symmetry, given)
    inferred = infer(node, {}, "")
    freer = not inferred.unknown and _symmetry(node, given, inferred).log_order() > symmetry.log_order() + 1e-9
    equations = tuple(map(str, derived.equations))
    return RuleCheck(equations, broken, "; ".join(map(str, inferred.equations)) if freer else "", draws)


def _described(value: Any, values: list[torch.Tensor]) -> Any:
    """The argument as a node has it; tensors are collected."""
    if isinstance(value, torch.Tensor):
        values.append(value)
        return Ref(f"argument{len(values) - 1}", tuple(value.shape), value.dtype)
    return tuple(_described(v, values) for v in value) if isinstance(value, tuple | list) else value


def _symmetry(node: Node, values: list[torch.Tensor], derived: Derived) -> Symmetry:
    """What the equations let move, with arguments and results as parameters."""
    system = System()
    shapes = {f"argument{k}": tuple(v.shape) for k, v in enumerate(values)} | {r.name: r.shape for r in node.outputs}
    for name, shape in shapes.items():
        system.add(Tensor(name, shape, "parameter"))
    system.equations += derived.equations
    flow = Flow(solve(system))
    solution, leaves, kinds = flow.solution, flow.solution.leaves, find_kinds(flow.solution, flow)
    free = [n for n, leaf in leaves.items() if leaf.pinned is None and leaf.size > 1]
    bases = {b for n in free for b in leaves[n].over if leaves[b].pinned is not None}
    names = {n: f"group{n}" for n in (*free, *bases)}
    layout = layout_of(solution, {name: name for name in shapes}, names, kinds)
    return Symmetry(
        groups=groups_of(solution, layout, names, kinds),
        pinned=tuple(Pin((), "pinned", names[n], leaves[n].size) for n in sorted(bases)),
        layout=layout,
        shapes={name: shapes[name] for name in layout},
    )


def _broken(subject: Subject, node: Node, symmetry: Symmetry, given: list[torch.Tensor]) -> tuple[tuple[str, ...], int]:
    """Groups, and all of them together, whose random elements the results do not follow; and how many draws ran."""
    broken: dict[str, None] = {}
    draws = 0
    for values, results in _trials(subject, given):
        draws += 1
        tensors = {f"argument{k}": v for k, v in enumerate(values)} | {
            ref.name: r for ref, r in zip(node.outputs, results)
        }
        for chosen in [(group.name,) for group in symmetry.groups] + [None] * bool(symmetry.groups):
            moved = symmetry.random(seed=draws, groups=chosen).apply(tensors)
            expected = [moved[ref.name] for ref in node.outputs]
            if not same(expected, _run(subject, [moved[f"argument{k}"] for k in range(len(values))])):
                broken[_axes(symmetry, chosen)] = None
    return tuple(broken), draws


def _trials(subject: Subject, given: list[torch.Tensor]) -> Iterator[tuple[list[torch.Tensor], list[torch.Tensor]]]:
    """The arguments as given, and draws in every regime that the op takes."""
    yield given, subject.run(given)
    shapes = tuple(slot.shape for slot in subject.slots)
    for regime in range(len(REGIMES)):
        values = draw_all(subject.slots, shapes, [regime] * len(shapes), seed=regime)
        results = _run(subject, values)
        if results:
            yield values, results


def _run(subject: Subject, values: list[torch.Tensor]) -> list[torch.Tensor]:
    """Results, none outside of the op's domain."""
    try:
        return subject.run(values)
    except NotInferred as error:
        raise InputError(f"the op cannot be checked: {error}") from error
    except Exception:  # whatever it raises on arguments that it does not take
        return []


def _axes(symmetry: Symmetry, chosen: tuple[str, ...] | None) -> str:
    if chosen is None:
        return "all letters together"
    group = symmetry[chosen[0]]
    return f"{group.size} units on " + " and ".join(f"{axis.tensor}[{axis.axis}]" for axis in group.members)
