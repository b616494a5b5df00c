"""Equations inferred from running ops, held against the rules written by hand and against the ops themselves."""

from __future__ import annotations

import pytest

from graphmerge.rules import Derived, infer
from graphmerge.rules.labels import new_rows
from graphmerge.rules.probe import isolate
from tests.algebra.solved import symmetry_of
from tests.rules.calls import Run, run
from tests.rules.examples import EXAMPLES, Example
from tests.rules.test_examples import UNUSED, is_sound

# what rules see and probing does not: parts of axes, products, axes that only results have, ties of integers to sizes
PARTIAL = ("view", "reinterpretation", "slice", "cat", "expand", "look-up", "convolution", "normalisation", "scan")


def plain(example: Example) -> bool:
    """Can it be probed beside its rule? Labels are what rules speak of, probing takes them for numbers; kernels of
    recurrent layers do not check their arguments, and crash at other sizes.
    """
    call = run(example)
    equations = call.derived().equations
    layers = any(e.origin.kind == "recurrence" for e in equations) and "cell" not in example.op
    return not layers and not any(new_rows(equations)) and not call.labels


PLAIN = [e for e in EXAMPLES if plain(e)]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """These ops check their arguments: no copies of the process, for speed."""
    monkeypatch.setattr(isolate, "COPIES", False)


def inferred(call: Run) -> Derived:
    return infer(call.node, call.constants, "no rule")


@pytest.mark.parametrize("example", PLAIN, ids=str)
def test_sound_and_no_freer_than_the_rule(example: Example) -> None:
    call = run(example)
    by_rule = symmetry_of(call.system())
    by_probing = symmetry_of(call.system(inferred(call)))
    for again in (run(example, seed) for seed in range(2)):
        if again.node.outputs == call.node.outputs:  # shapes may depend on what was drawn
            assert is_sound(again, by_probing)
    if str(example) not in UNUSED:
        assert by_probing.log_order() <= by_rule.log_order() + 1e-9


def test_mostly_it_finds_what_the_rules_say() -> None:
    """Of the calls where probing could know as much as the rule, and which move anything at all.

    An operator in place (``__ior__``) is probed like the op that it stands for, and counts with it.
    """
    missed, count = [], 0
    for example in PLAIN:
        call = run(example)
        kinds = {equation.origin.kind for equation in call.derived().equations}
        by_rule = symmetry_of(call.system()).log_order()
        if by_rule and not kinds & set(PARTIAL) and "__i" not in example.op:
            count += 1
            if symmetry_of(call.system(inferred(call))).log_order() < by_rule - 1e-9:
                missed.append(str(example))
    assert len(missed) <= 0.1 * count, missed
