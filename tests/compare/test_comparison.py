"""Comparing by meaning: what is equal under other names, and what each kind of mistake is called."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

import graphmerge as gm
from graphmerge.compare.cells import cells_of
from graphmerge.errors import ArchitectureMismatch, SpecError
from graphmerge.spec import parse_spec, spec_text
from tests.families import FAMILIES, traced

LAYER = """\
graphmerge: 1
repeat: {l: 0..1}
groups:
  d: 6
  ffn.{l}: 5
  heads.{l}: 3
  qk.{l}: {size: 4, over: heads.{l}}
  v.{l}: {size: 2, over: heads.{l}}
tensors:
  embed: _ d
  q.{l}: (heads.{l} qk.{l}) d
  k.{l}: (heads.{l} qk.{l}) d
  v.{l}: (heads.{l} v.{l}) d
  o.{l}: d (heads.{l} v.{l})
  up.{l}: ffn.{l} d
  bias.{l}: ffn.{l}
  down.{l}: d ffn.{l}
"""


def changed(*edits: tuple[str, str]) -> gm.Symmetry:
    text = LAYER
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return parse_spec(text)


def test_equal_under_other_names_and_in_another_order():
    lines = LAYER.splitlines()
    names = "\n".join(lines[:9] + lines[:8:-1])
    other = re.sub(r"\bd\b", "width", names).replace("heads.", "h.").replace("qk.", "inner.")
    found = gm.compare(parse_spec(other), parse_spec(LAYER))
    assert found.equal
    assert found.names["inner.1"] == "qk.1"
    assert str(found) == "equal: the same 9 groups, 5 under other names (width = d, h.0 = heads.0, inner.0 = qk.0, ...)"


def test_pins_kinds_and_the_way_an_axis_is_cut_do_not_count():
    one = changed(("embed: _ d", "embed: (_2 + _27) d"), ("d: 6", "d: {size: 6, kind: orthogonal}"))
    assert gm.compare(one, parse_spec(LAYER)).equal
    assert gm.compare(parse_spec(LAYER), one).equal
    rows = """\
graphmerge: 1
groups: {f: 4, d: 3}
tensors:
  up:
    - {rows: 0..3, axes: f d}
    - {rows: 4..7, axes: f d}
"""
    whole = "graphmerge: 1\ngroups: {f: 4, d: 3}\ntensors: {up: (f + f) d}\n"
    assert gm.compare(parse_spec(rows), parse_spec(whole)).equal


def test_the_order_of_factors_counts():
    one = changed(("v.{l}: (heads.{l} v.{l}) d", "v.{l}: (v.{l} heads.{l}) d"))
    found = gm.compare(one, parse_spec(LAYER))
    assert not found.sound
    assert {tie.group for tie in found.wrong_ties} == {"heads.0", "heads.1", "v.0", "v.1"}


BIAS = ("bias.{l}: ffn.{l}", "bias.{l}: _")
ONE_FFN = [("ffn.{l}: 5", "ffn: 5"), ("up.{l}: ffn.{l}", "up.{l}: ffn"), ("down.{l}: d ffn.{l}", "down.{l}: d ffn")]
MISTAKES = [
    (
        [BIAS],
        "missing",
        ["ffn.0 leaves out what moves with ffn.0: bias.0[0]", "ffn.1 leaves out what moves with ffn.1: bias.1[0]"],
    ),
    ([("  embed: _ d\n", "")], "missing", ["d leaves out what moves with d: embed[1]"]),
    (
        [("ffn.{l}: 5", "ffn.{l}: 5\n  f.{l}: 5"), ("down.{l}: d ffn.{l}", "down.{l}: d f.{l}")],
        "missing",
        [
            "ffn.0 leaves out what moves with ffn.0: down.0[1]",
            "f.0 leaves out what moves with ffn.0: up.0[0], bias.0[0]",
            "ffn.1 leaves out what moves with ffn.1: down.1[1]",
            "f.1 leaves out what moves with ffn.1: up.1[0], bias.1[0]",
        ],
    ),
    (
        [("embed: _ d", "embed: _ d\n  scale: ffn.0")],
        "wrong",
        ["ffn.0 may not move (the reference does not move it): scale[0]"],
    ),
    (
        [*ONE_FFN, ("bias.{l}: ffn.{l}", "bias.{l}: ffn")],
        "freedom",
        [
            "ffn.0 (5 units) moves only together with ffn.1, as ffn",
            "ffn.1 (5 units) moves only together with ffn.0, as ffn",
        ],
    ),
    (
        [("v.{l}: {size: 2, over: heads.{l}}", "v.{l}: 2")],
        "freedom",
        [
            "v.0 (2 units over heads.0) is the same permutation for all of its bases, as v.0",
            "v.1 (2 units over heads.1) is the same permutation for all of its bases, as v.1",
        ],
    ),
    (
        [("v.{l}: {size: 2, over: heads.{l}}", "v.{l}: {size: 2, pinned: why not}")],
        "freedom",
        ["v.0 (2 units over heads.0) does not move", "v.1 (2 units over heads.1) does not move"],
    ),
]


@pytest.mark.parametrize(("edits", "kind", "expected"), MISTAKES)
def test_mistakes_are_named(edits, kind, expected):
    found = gm.compare(changed(*edits), parse_spec(LAYER))
    lists = {"missing": found.missing_ties, "wrong": found.wrong_ties, "freedom": found.missing_freedom}
    assert {name: [str(x) for x in entries] for name, entries in lists.items()} == {
        "missing": [], "wrong": [], "freedom": [], kind: expected
    }  # fmt: skip
    assert found.sound == (kind == "freedom")
    assert not found.equal


def test_more_freedom_than_there_is_shows_as_a_missing_tie():
    tied = changed(("v.{l}: {size: 2, over: heads.{l}}", "v.{l}: 2"))
    found = gm.compare(parse_spec(LAYER), tied)
    assert [str(tie) for tie in found.missing_ties] == [
        f"v.{k} has 3 of 2 units that move apart, but the reference has 1 of 2: they move alike" for k in (0, 1)
    ]


def test_a_group_that_is_cut_finer_is_missing_freedom():
    flat = "graphmerge: 1\ngroups: {f: 6}\ntensors: {up: f _2, down: _2 f}\n"
    cut = "graphmerge: 1\ngroups: {a: 2, b: {size: 3, over: a}}\ntensors: {up: (a b) _2, down: _2 (a b)}\n"
    found = gm.compare(parse_spec(cut), parse_spec(flat))
    assert [str(x) for x in found.missing_freedom] == ["f (6 units) is there in parts only, as a × b"]
    assert found.sound
    back = gm.compare(parse_spec(flat), parse_spec(cut))
    assert [str(x) for x in back.wrong_ties] == ["f may not move (in the reference this is a × b): up[0], down[1]"]


def test_the_action_on_one_axis_may_depend_on_another():
    text = """\
graphmerge: 1
groups: {e: 3, f: {size: 4, over: e}, d: 2}
tensors:
  up: e d f
  down: e f d
"""
    symmetry = parse_spec(text)
    axes = [c.axes for c in cells_of("up", (3, 2, 4), symmetry.layout["up"], symmetry.layout["up"])]
    assert axes == [(0, 2), (1,)]
    assert gm.compare(symmetry, symmetry).equal
    apart = parse_spec(text.replace("{size: 4, over: e}", "4"))
    assert gm.compare(apart, symmetry).missing_freedom
    assert not gm.compare(symmetry, apart).sound


def test_units_left_out_stay_in_all_directions():
    """``-2`` leaves rows out, so that their columns do not move either; ``_2`` keeps them in."""
    text = "graphmerge: 1\ngroups: {d: 3}\ntensors: {w: (_4 + REST) d, v: d}\n"
    inside, outside = (parse_spec(text.replace("REST", rest)) for rest in ("_2", "-2"))
    assert gm.compare(inside, inside).equal
    assert gm.compare(outside, outside).equal
    assert not gm.compare(outside, inside).sound


def test_pinned_bases_are_checked_unit_by_unit():
    groups = "groups: {h: {size: 3, pinned: alibi}, v: {size: 4, over: h}}"
    text = f"graphmerge: 1\n{groups}\ntensors: {{w: (h v), x: (h v)}}\n"
    whole = parse_spec(text)
    assert gm.compare(whole, whole).equal
    # the last head's units are torn apart, the first two heads' are not
    torn = parse_spec(text.replace("x: (h v)", "x: (_2 _4) + _4").replace("{w", "{y: (h v), w"))
    assert not gm.compare(torn, parse_spec(text.replace("{w", "{y: (h v), w"))).sound


def test_open_axes_take_their_length_from_the_other_side():
    known = changed(("embed: _ d", "embed: _29 d"))
    assert gm.compare(parse_spec(LAYER), known).equal
    assert gm.compare(known, parse_spec(LAYER)).equal
    with pytest.raises(ArchitectureMismatch, match=r"embed has shape \(29, 6\) in the one and \(30, 6\)"):
        gm.compare(known, changed(("embed: _ d", "embed: _30 d")))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_equals_itself_read_back(name):
    symmetry = traced(name).symmetry()
    found = gm.compare(parse_spec(spec_text(symmetry)), symmetry)
    assert found.equal
    assert found.names == {group.name: group.name for group in symmetry.groups if group.size > 1}


@pytest.mark.parametrize(("name", "lines"), [("BERT", 41), ("Llama", 30), ("GPT-NeoX", 32)])
def test_derived_specs_fold_their_layers(name, lines):
    """Pins too, whose reasons are the same in all layers."""
    text = spec_text(traced(name).symmetry())
    assert len(text.splitlines()) == lines
    assert spec_text(parse_spec(text)) == text


@pytest.mark.parametrize("name", ["BERT", "Llama", "Mixtral", "Mamba"])
def test_every_axis_left_out_is_found(name):
    """For each axis of each group: without it the symmetry is unsound, and the axis is what is missing."""
    symmetry = traced(name).symmetry()
    tried = 0
    for group in symmetry.groups[:4]:
        for axis in group.members if len(group.members) > 1 else ():
            layout = dict(symmetry.layout)
            layout[axis.tensor] = tuple(
                replace(b, moves=tuple(m for m in b.moves if not _meant(b, m, group.name, axis)))
                for b in layout[axis.tensor]
            )
            broken = replace(
                symmetry,
                layout=layout,
                groups=tuple(
                    replace(g, members=tuple(a for a in g.members if a != axis)) if g == group else g
                    for g in symmetry.groups
                ),
            )
            found = gm.compare(broken, symmetry)
            place = f"{axis.tensor}[{axis.axis}]"
            assert any(
                tie.group == group.name and any(text.startswith(place) for text in tie.axes)
                for tie in found.missing_ties
            ), (group.name, place, str(found))
            assert not found.equal
            tried += 1
    assert tried >= 12


def _meant(block, move, group, axis):
    return move.group == group and any(
        block.axis_of(d) == axis.axis and block.runs[axis.axis] == axis.part.run for d in move.dims
    )


def test_checked_on_a_model_each_wrong_group_has_its_error():
    model = FAMILIES["BERT"].model()
    derived = traced("BERT").symmetry()
    assert gm.check(model, derived, reference=derived).equal
    text = re.sub(r"(intermediate\.dense\.bias: )layers\.\{l\}\.ffn", r"\1_", spec_text(derived))
    found = gm.check(model, parse_spec(text), reference=derived)
    assert [tie.group for tie in found.missing_ties] == ["layers.0.ffn", "layers.1.ffn"]
    assert all(tie.error is not None and tie.error > 1e-3 for tie in found.missing_ties)
    assert re.search(r"moving layers\.0\.ffn changes the outputs by \d\.\de-0\d", str(found))
    with torch.device("meta"):
        shapes = type(model)(model.config)
    assert {tie.error for tie in gm.check(shapes, parse_spec(text), reference=derived).missing_ties} == {None}
    with pytest.raises(SpecError, match="the model has no tensor"):
        gm.check(model, parse_spec(text.replace("cls.predictions.decoder", "cls.decoder")), reference=derived)


def test_optional_tensors_that_a_model_lacks_are_left_out():
    model = FAMILIES["BERT"].model()
    derived = traced("BERT").symmetry()
    text = spec_text(derived).replace("tensors:\n", "tensors:\n  score.weight?: _ residual\n  score.bias?: pooler\n")
    spec = parse_spec(text.replace("groups:\n", "groups:\n  pooler: 21\n"))
    assert gm.check(model, spec, reference=derived).equal
    found = gm.verify(model, spec)
    assert found.ok
    assert "pooler" not in found.errors
