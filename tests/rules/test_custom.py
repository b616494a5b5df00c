"""Rules that users register, and whether they are right."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import graphmerge as gm
from graphmerge.rules import NotCovered, registry
from tests.modules import ln
from tests.rules.opaque import opaque

PAGE = Path(__file__).parents[2] / "docs" / "custom-ops.md"
X = torch.tensor([[1.0, 2.0, 3.0]])


@pytest.fixture(autouse=True)
def _rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))


def affine(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
    return x @ w.mT if b is None else x @ w.mT + b


def turned(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Each head is turned by one place."""
    return x.unflatten(-1, (heads, -1)).roll(1, -1).flatten(-2)


AFFINE = opaque("affine", "(Tensor x, Tensor w, Tensor? b=None) -> Tensor", affine)
TURNED = opaque("turned", "(Tensor x, int heads) -> Tensor", turned)
SCALED = opaque("scaled", "(Tensor x) -> Tensor", lambda x: x / x.abs().sum(-1, keepdim=True))
ARGUMENTS = (torch.randn(2, 3), torch.randn(4, 3))


def heads_rule(call: gm.Call) -> Any:
    x, heads = call.arg(0, "x"), call.arg(1, "heads")
    return [call.write("... (h d!) -> ... (h d) | ... h", [x, call.out], {"h": heads, "d": x.shape[-1] // heads})]


class Model(nn.Module):
    """An op that is known by its rule alone, between two matrices."""

    def __init__(self, op: str) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(3, 6), nn.Linear(6, 2)
        self.op = getattr(torch.ops.graphmerge_opaque, op)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.op(self.up(x), 2))


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, str(PAGE), "exec"), names)
    symmetry = names["symmetry"]
    expected = ln(8) + 2 * (ln(2) + 4 * ln(4) + ln(6))
    assert symmetry.log_order() == pytest.approx(expected)
    assert capsys.readouterr().out.startswith("residual 8\n")


def test_what_the_page_says_of_a_missing_rule() -> None:
    """Without the rule of swiglu its units do not move, and all others do."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    code = code[: code.index("graph = gm.trace")].replace("mylib", "otherlib")
    rule = code[code.index('@gm.rule("otherlib.swiglu"') : code.index("assert gm.check_rule")]
    code = re.sub(r"assert gm.check_rule\(\"otherlib.swiglu.*\n", "", code.replace(rule, ""))
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, str(PAGE), "exec"), names)
    graph = gm.trace(names["model"], names["inputs"])
    assert {p.op for p in graph.probed} == {"otherlib.swiglu.default"}
    assert graph.symmetry().log_order() == pytest.approx(ln(8) + 2 * (ln(2) + 4 * ln(4)))


def test_an_equation_for_each_number_of_tensors() -> None:
    gm.rule("graphmerge_opaque.affine", "... i, o i -> ... o", "... i, o i, o -> ... o", kind="contraction")
    assert gm.check_rule("graphmerge_opaque.affine", *ARGUMENTS).equations == (".0 i, o i -> .0 o",)
    assert gm.check_rule(AFFINE, *ARGUMENTS, torch.randn(4)).equations == (".0 i, o i, o -> .0 o",)
    assert gm.check_rule("graphmerge_opaque::affine", *ARGUMENTS, b=torch.randn(4)).ok


def test_a_rule_of_other_arguments_frees_what_running_cannot_see() -> None:
    with pytest.warns(UserWarning, match=r"turned\.default, and running it does not tell: it leaves no axis free"):
        before = gm.trace(Model("turned"), (X,))
    assert before.symmetry().log_order() == 0
    gm.rule("graphmerge_opaque.turned")(heads_rule)
    after = gm.trace(Model("turned"), (X,), strict=True)
    assert after.symmetry().log_order() == pytest.approx(ln(2))
    assert gm.verify(Model("turned").eval(), after.symmetry(), (X,)).ok


def test_wrong_rules_are_found() -> None:
    gm.rule("graphmerge_opaque.turned")(lambda call: call.write("... d -> ... d", [call.arg(0, "x"), call.out]))
    found = gm.check_rule(TURNED, torch.randn(6), 2)
    assert not found.ok
    assert found.broken == ("6 units on argument0[0] and out.0[0]", "all letters together")
    with pytest.raises(
        gm.NotEquivariant, match="d -> d is wrong: the results do not follow permutations of 6 units on"
    ):
        found.require()


def test_a_missing_virtual_term_is_found() -> None:
    """Each row is divided by what it adds up to: as many orders of its entries as there are rows is too much."""
    gm.rule("graphmerge_opaque.scaled", "... d -> ... d")
    assert not gm.check_rule(SCALED, torch.randn(5, 4)).ok
    gm.rule("graphmerge_opaque.scaled", "... d -> ... d | ...", replace=True)
    found = gm.check_rule(SCALED, torch.randn(5, 4))
    assert found.ok
    assert found.missed == ""
    assert found.draws > 5
    found.require()


def test_freedom_that_a_rule_leaves_is_told() -> None:
    gm.rule("graphmerge_opaque.affine", "... i!, o i! -> ... o")
    assert gm.check_rule(AFFINE, *ARGUMENTS).missed == "x0 x1, x2 x1 -> x0 x2"


def test_what_cannot_be_checked() -> None:
    with pytest.raises(gm.InputError, match=r"unknown op graphmerge_opaque\.affine\.default; register one with"):
        gm.check_rule(AFFINE, *ARGUMENTS)
    with pytest.raises(gm.InputError, match=r"nowhere\.op\.default cannot be run on these arguments"):
        gm.check_rule("nowhere.op", *ARGUMENTS)
    with pytest.raises(gm.InputError, match=r"affine\.default cannot be run on these arguments"):
        gm.check_rule(AFFINE, torch.randn(2, 3), torch.randn(4, 5))


def test_what_cannot_be_registered() -> None:
    gm.rule("graphmerge_opaque.affine", "... i, o i -> ... o")
    for name in ("graphmerge_opaque.affine", "graphmerge_opaque::affine", "graphmerge_opaque.affine_"):
        with pytest.raises(gm.InputError, match=r"op graphmerge_opaque\.affine has a rule already; pass replace=True"):
            gm.rule(name, "... i, o i -> ... o")
    with pytest.raises(gm.InputError, match=r"op aten\.relu has a rule already"):
        gm.rule("aten.relu", kind="elementwise")
    with pytest.raises(gm.InputError, match=r"'\.\.\. i' is no equation: arguments -> results"):
        gm.rule("graphmerge_opaque.turned", "... i")
    with pytest.raises(gm.InputError, match=r"an op is named library\.op, not 'affine'"):
        gm.rule("affine", "... i, o i -> ... o")


def test_one_overload_may_have_its_own() -> None:
    gm.rule("graphmerge_opaque.affine", "... i!, o! i! -> ... o!")
    gm.rule("graphmerge_opaque.affine.default", "... i, o i -> ... o")
    assert gm.check_rule(AFFINE, *ARGUMENTS).equations == (".0 i, o i -> .0 o",)


def test_a_use_that_a_rule_does_not_describe_is_run_and_said() -> None:
    def fails(call: gm.Call) -> Any:
        raise NotCovered("only three heads")

    gm.rule("graphmerge_opaque.turned")(fails)
    with pytest.warns(
        UserWarning, match=r"no rule for this use of .*turned\.default: only three heads, and running it"
    ):
        gm.trace(Model("turned"), (X,))


def test_names_of_other_libraries_mean_nothing() -> None:
    """An op called mul need not be a product: no maps but permutations are claimed for it."""
    opaque("mul", "(Tensor x, int n) -> Tensor", lambda x, n: x.exp())
    gm.rule("graphmerge_opaque.mul", "... d -> ... d", kind="elementwise")
    symmetry = gm.trace(Model("mul"), (X,), strict=True).symmetry()
    assert [(group.size, group.kind) for group in symmetry.groups] == [(6, "permutation")]
