import json
from dataclasses import replace

from graphmerge.report import kind_rows, to_json, to_text, verification_data, verification_report, verification_rows
from graphmerge.verify import KindCheck, Verification
from graphmerge.verify.branches import Branches

ERRORS = {"residual": 1e-15, "layers.0.ffn": 2e-15, "layers.1.ffn": 3e-15, "layers.2.ffn": 0.25, "layers.3.ffn": 1e-15}
BROKEN = {"residual": 0.5, "layers.0.ffn": 0.2, "layers.1.ffn": 0.1, "layers.2.ffn": 0.3, "layers.3.ffn": 1e-8}


def found(**errors: float) -> Verification:
    errors = ERRORS | errors
    return Verification(max(errors.values()), errors, BROKEN, ("layers.3.ffn",), 11, 1.5)


def test_groups_fold_where_their_verdicts_agree():
    rows = verification_rows(found())
    assert [(r.pattern, r.verdict, r.error, r.broken) for r in rows] == [
        ("residual", "holds", 1e-15, 0.5),
        ("layers.{0..1}.ffn", "holds", 3e-15, 0.1),
        ("layers.2.ffn", "changes the outputs", 0.25, 0.3),
        ("layers.3.ffn", "untested", 1e-15, 1e-8),
    ]


def test_text():
    text = to_text(verification_report(found()), width=200)
    assert text.startswith(
        "outputs CHANGED: largest relative error 2.5e-01 > 1.0e-09, 5 groups, 1.5 s; 1 groups untested"
    )
    right = to_text(verification_report(found(**{"layers.2.ffn": 0.0})), width=200)
    assert right.startswith("outputs unchanged: largest relative error 3.0e-15 ≤ 1.0e-09")
    assert "layers.{0..2}.ffn 3.0e-15 1.0e-01 holds" in [" ".join(line.split()) for line in right.splitlines()]


def test_ways_through_the_model_are_said():
    assert "control flow" not in to_text(verification_report(found()), width=200)
    for error, verdict in ((1e-15, ""), (0.5, ": CHANGED")):
        taken = replace(found(), branches=Branches(runs=8, failed=1, paths=2, max_error=error))
        said = "control flow depends on data: 7 runs of the model itself took 2 different ways; largest change "
        assert f"{said}{error:.1e}{verdict}\n" in to_text(verification_report(taken), width=200)
        assert json.loads(to_json(verification_data(taken)))["branches"]["paths"] == 2


def test_json_has_every_group():
    data = json.loads(to_json(verification_data(found())))
    assert data["ok"] is False
    assert data["errors"] == ERRORS
    assert data["untested"] == ["layers.3.ffn"]


KINDS = {
    "residual": KindCheck("signed_permutation", 1e-15, 0.5, {"scaled_permutation": 0.3, "orthogonal": 0.4}),
    "layers.0.v": KindCheck("invertible", 1e-15, 0.2),
    "layers.1.v": KindCheck("invertible", 2e-15, 0.1),
    "layers.0.ffn": KindCheck("permutation", 1e-15, None, {"signed_permutation": 1e-12}),
    "layers.1.ffn": KindCheck("scaled_permutation", 0.7, 0.9, {"orthogonal": 0.8}),
}


def test_kinds_fold_where_they_and_their_verdicts_agree():
    rows = kind_rows(replace(found(), kinds=KINDS))
    assert [(r.pattern, r.kind, r.verdict, r.error, r.broken, r.widened) for r in rows] == [
        ("residual", "signed_permutation", "holds", 1e-15, 0.5, 0.3),
        ("layers.{0..1}.v", "invertible", "holds", 2e-15, 0.1, None),
        ("layers.0.ffn", "permutation", "may be larger", 1e-15, None, 1e-12),
        ("layers.1.ffn", "scaled_permutation", "too large: changes the outputs", 0.7, 0.9, 0.8),
    ]


def test_kinds_are_shown_where_they_were_tried():
    text = to_text(verification_report(replace(found(), kinds=KINDS)), width=200)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "; CHANGED by a random scaled permutation of layers.1.ffn" in lines[0]
    assert "residual signed permutation 1.0e-15 5.0e-01 3.0e-01 holds" in lines
    assert "layers.{0..1}.v invertible 2.0e-15 1.0e-01 – holds" in lines
    assert "Kinds" not in to_text(verification_report(found()), width=200)


def test_a_copy_is_said():
    changes = {"num_hidden_layers": (80, 2), "hidden_size": (8192, 16)}
    copy = replace(found(**{"layers.2.ffn": 0.0}), shrunk=changes)
    text = to_text(verification_report(copy), width=200)
    assert (
        "on a copy made small, which has the groups of the model up to sizes and the number of layers: "
        "num_hidden_layers 80 → 2, hidden_size 8192 → 16" in text
    )
    assert "NOTHING" not in text
    unlike = replace(copy, unlike=tuple(f"layers.{k}.v" for k in range(10)))
    text = to_text(verification_report(unlike), width=400)
    assert "NOTHING IS PROVEN, the copy differs from the model in layers.0.v, layers.1.v" in text
    assert "layers.7.v and 2 more" in text
    data = json.loads(to_json(verification_data(unlike)))
    assert data["ok"] is False
    assert data["shrunk"] == {"num_hidden_layers": [80, 2], "hidden_size": [8192, 16]}
    assert data["unlike"] == [f"layers.{k}.v" for k in range(10)]
