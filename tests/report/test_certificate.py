import json
from dataclasses import replace

from graphmerge.certificate import Certificate, Freedom
from graphmerge.report import certificate_data, certificate_report, missed_rows, to_json, to_text
from graphmerge.symmetry import Symmetry
from graphmerge.verify import Verification

LEFT = tuple(Freedom(f"layers.{n}.up.{p}", 0, (0, 1, 2), "in no group") for n in (0, 1) for p in ("weight", "bias"))
FOUND = Certificate(
    complete=False,
    log_order=0.0,
    counted=3.5835189384561,
    slices_log_order=0.0,
    slices=(),
    missed=LEFT,
    reason="there are 36 times as many permutations as were derived",
    verification=Verification(1e-15, {}, {}, (), 11, 0.1),
    symmetry=Symmetry((), (), {}, {}),
    model="Net",
    shrunk={"hidden_size": (768, 8)},
    length=2,
    nodes=1234,
    edges=2345,
    seconds=1.5,
)


def test_axes_fold_over_layers():
    assert [(r.pattern, r.axis, r.units, r.reason) for r in missed_rows(FOUND)] == [
        ("layers.{0..1}.up.weight", 0, 3, "in no group"),
        ("layers.{0..1}.up.bias", 0, 3, "in no group"),
    ]


def test_text_says_what_is_not_proven_and_where():
    text = to_text(certificate_report(FOUND), width=200)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "Net: NOT PROVEN: derived and counted differ"
    assert lines[1] == FOUND.reason
    assert "counted 36 ln 3.583519; 1,234 nodes, 2,345 edges at 2 positions" in lines
    assert "outputs under random elements unchanged largest relative error 1.0e-15" in lines
    assert "certified on a copy made small hidden_size 768 → 8" in lines
    assert "layers.{0..1}.up.weight[0] 3 in no group" in lines


def test_text_of_what_was_not_counted():
    found = replace(FOUND, complete=None, counted=None, missed=(), reason="aten.topk.default lets activations decide")
    text = to_text(certificate_report(found), width=200)
    assert text.startswith("Net: NOT COUNTED: soundness alone is shown\naten.topk.default")
    assert "Freedom" not in text


def test_text_of_what_is_proven():
    found = replace(FOUND, complete=True, log_order=FOUND.counted, missed=(), reason="", shrunk={})
    text = to_text(certificate_report(found), width=200)
    assert text.startswith("Net: PROVEN: no permutation was missed\n")
    assert "copy" not in text


def test_json_has_every_axis():
    data = json.loads(to_json(certificate_data(FOUND)))
    assert data["complete"] is False
    assert [m["tensor"] for m in data["missed"]] == [f.tensor for f in LEFT]
    assert data["shrunk"] == {"hidden_size": [768, 8]}
