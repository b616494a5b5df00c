"""Reading specs: the design's example, hand-written forms, and every mistake with its place."""

import pytest
import torch

from graphmerge.errors import SpecError
from graphmerge.spec import load_spec, parse_spec
from graphmerge.symmetry import UNKNOWN, Axis, Block, Group, Move, Part, Pin, Run

EXAMPLE = """\
graphmerge: 1
model: BertForMaskedLM
repeat: {l: 0..1}
groups:
  residual: 8
  layers.{l}.ffn: 5
  layers.{l}.heads: 2                      # BLOOM: {size: 12, pinned: alibi}
  layers.{l}.qk: {size: 4, over: layers.{l}.heads}
  layers.{l}.v: {size: 3, over: layers.{l}.heads}
tensors:
  word_embeddings.weight: _ residual
  layer.{l}.query.weight: (layers.{l}.heads layers.{l}.qk) residual
  layer.{l}.value.weight: (layers.{l}.heads layers.{l}.v) residual
  layer.{l}.up.weight: layers.{l}.ffn residual
"""


def test_the_example_of_the_design():
    symmetry = parse_spec(EXAMPLE)
    assert symmetry.model == "BertForMaskedLM"
    assert [(g.name, g.size, g.over) for g in symmetry.groups] == [
        ("residual", 8, ()),
        ("layers.0.ffn", 5, ()),
        ("layers.0.heads", 2, ()),
        ("layers.0.qk", 4, ("layers.0.heads",)),
        ("layers.0.v", 3, ("layers.0.heads",)),
        ("layers.1.ffn", 5, ()),
        ("layers.1.heads", 2, ()),
        ("layers.1.qk", 4, ("layers.1.heads",)),
        ("layers.1.v", 3, ("layers.1.heads",)),
    ]
    assert list(symmetry.layout)[:4] == [
        "word_embeddings.weight",
        "layer.0.query.weight",
        "layer.0.value.weight",
        "layer.0.up.weight",
    ]
    query = Run(0, (2, 4), (4, 1))
    assert symmetry.layout["layer.1.query.weight"] == (
        Block(
            (query, Run(0, (8,), (1,))),
            (Move("layers.1.heads", (0,)), Move("layers.1.qk", (1,), (0,)), Move("residual", (2,))),
        ),
    )
    assert symmetry["layers.1.qk"].members == (Axis("layer.1.query.weight", 0, Part(query, (1,))),)
    assert symmetry.shapes["layer.1.value.weight"] == (6, 8)
    assert symmetry.shapes["word_embeddings.weight"] == (UNKNOWN, 8)


def test_a_hand_written_spec_works_on_weights():
    symmetry = parse_spec(EXAMPLE)
    state = {
        "word_embeddings.weight": torch.rand(29, 8),
        **{
            f"layer.{layer}.{name}.weight": torch.rand(size, 8)
            for layer in (0, 1)
            for name, size in (("query", 8), ("value", 6), ("up", 5))
        },
    }
    p = symmetry.random(0)
    moved = p.apply(state)
    assert torch.equal(moved["word_embeddings.weight"], state["word_embeddings.weight"][:, p.arrays["residual"].copy()])
    back = p.inverse().apply(moved)
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_a_pinned_base_and_a_fused_projection():
    symmetry = parse_spec(
        """\
graphmerge: 1
groups:
  heads: {size: 2, pinned: alibi}
  qk: {size: 3, over: heads}
  v: {size: 4, over: [heads], kind: invertible}
tensors:
  qkv.weight: (heads (qk + qk + v)) _5
  slopes: heads
"""
    )
    inner = Run(6, (2, 4), (10, 1))
    assert symmetry.groups[1] == Group("v", 4, ("heads",), (Axis("qkv.weight", 0, Part(inner, (1,))),), "invertible")
    assert list(symmetry.layout) == ["qkv.weight"]
    assert symmetry.shapes == {"qkv.weight": (20, 5)}
    heads = [Axis("qkv.weight", 0, Part(Run(k, (2, n), (10, 1)), (0,))) for k, n in ((0, 3), (3, 3), (6, 4))]
    assert symmetry.pinned == (Pin((*heads, Axis("slopes", 0, Part(Run(0, (2,), (1,)), (0,)))), "alibi", "heads", 2),)


def test_blocks_with_their_own_rows():
    symmetry = parse_spec(
        """\
graphmerge: 1
groups: {reader: 4, memory: 4, heads: 2, qk: {size: 3, over: heads}, v: {size: 3, over: heads}}
tensors:
  in_proj_weight:
    - {rows: 0..5, axes: (heads qk) reader}
    - {rows: 6..17, axes: ((heads qk) + (heads v)) memory}
    - {rows: 18..19, axes: _ memory}
"""
    )
    blocks = symmetry.layout["in_proj_weight"]
    assert [(b.runs[0].offset, [m.group for m in b.moves]) for b in blocks] == [
        (0, ["heads", "qk", "reader"]),
        (6, ["heads", "qk", "memory"]),
        (12, ["heads", "v", "memory"]),
        (18, ["memory"]),
    ]
    assert symmetry.shapes == {"in_proj_weight": (20, 4)}


def test_pins_say_why_and_how_long():
    symmetry = parse_spec(
        """\
graphmerge: 1
repeat: {l: 0..1}
groups: {residual: 4, held: {size: 2, pinned: router}, v: {size: 3, over: held}}
tensors:
  embed: _ residual
  up: (held v) residual
pinned:
  - reason: table {l}
    each: l
    axes: ["table.{l}[0] _7"]
  - reason: words
    axes: ["embed[0] _29", "bias.{l}[0] (2 (_3 + -1))"]
  - pin: held
    axes: ["up[0] (_2 3)"]
notes: [one]
"""
    )
    assert symmetry.shapes["embed"] == (29, 4)
    whole = [Part(Run(0, (n,), (1,)), (0,)) for n in (7, 29)]
    inner = Part(Run(0, (2, 3), (4, 1)), (1,))
    assert symmetry.pinned == (
        Pin((Axis("table.0", 0, whole[0]),), "table 0"),
        Pin((Axis("table.1", 0, whole[0]),), "table 1"),
        Pin((Axis("embed", 0, whole[1]), Axis("bias.0", 0, inner), Axis("bias.1", 0, inner)), "words"),
        Pin((Axis("up", 0, Part(Run(0, (2, 3), (3, 1)), (0,))),), "router", "held", 2),
    )
    assert symmetry.notes == ("one",)


def spec(groups: str = "{d: 4}", tensors: str = "{w: d}", more: str = "") -> str:
    """A spec with the groups in line 2, the tensors in line 3 and the rest after them."""
    return f"graphmerge: 1\ngroups: {groups}\ntensors: {tensors}\n{more}"


MISTAKES = [
    ("", "1:1: the file is empty; a spec starts with 'graphmerge: 1'"),
    ("graphmerge: [", "1:14: not YAML: "),
    ("- graphmerge", "1:1: a spec must be a mapping of names to values"),
    ("graphmerge: 1\ntensors: {}", "1:1: the spec has no 'groups'; add it"),
    (spec().replace("1", "2", 1), "1:13: this is version '2' of the notation; 1 is the only one"),
    (spec(more="group: {}"), "4:1: unknown key 'group'; a spec may have graphmerge, model, repeat, groups, tensors"),
    (spec(more="groups: {}"), "4:1: 'groups' stands here for the second time (first in line 2); keep one"),
    (spec("{d: 4, d: 5}"), "2:16: 'd' stands here for the second time (first in line 2); keep one"),
    (spec(tensors="{w: d, w: d}"), "3:17: 'w' stands here for the second time (first in line 3); keep one"),
    (spec("{d: many}"), "2:13: the size of d must be a whole number of 1 or more, not 'many'"),
    (spec("{d: 0}"), "2:13: the size of d must be a whole number of 1 or more, not '0'"),
    (spec("{d: {over: e}}"), "2:13: d needs a size: {size: 64}"),
    (spec("{d: {size: 4, sizes: 4}}"), "2:23: unknown key 'sizes'; d may have size, over, kind, pinned"),
    (spec("{d: {size: 4, kind: rotation}}"), "2:29: unknown kind 'rotation'; it is one of permutation, signed"),
    (spec("{d: {size: 4, pinned: x, kind: rotary}}"), "2:13: d is pinned: it has a size and a reason, and neither"),
    (spec("{d: {size: 4, over: e}}"), "2:29: no group is called 'e'; declare it under 'groups'"),
    (
        spec("{d: {size: 4, over: e}, e: {size: 4, over: d}}"),
        "2:29: groups are over each other (d over e over d); take one 'over' away",
    ),
    (
        spec("{c: 2, d: {size: 4, over: c}, e: {size: 4, over: d}}", "{w: (c d e)}"),
        "2:58: 'd' is over 'c', so 'e' must be over that too",
    ),
    (spec("{d: 4, e: 5}"), "2:16: no tensor names 'e'; name it under 'tensors' or remove it"),
    (spec("{d: 4, e: {size: 5, pinned: x}}"), "2:16: no tensor names 'e'; name it under 'tensors' or remove it"),
    (spec(tensors="{w: _ e}"), "3:16: no group is called 'e'; declare it under 'groups'"),
    (spec(tensors="{w: '_ e'}"), "3:17: no group is called 'e'; declare it under 'groups'"),
    (spec(tensors="\n  v: d\n  w: _ (d"), "5:8: this '(' is never closed"),
    (spec(tensors="{w: ''}"), "3:14: w needs its axes, such as '_ residual'; leave out what has none"),
    (spec(tensors="{w: {x: d}}"), "3:14: the axes of w must be text, or a list of blocks"),
    (spec("{d: 4, e: {size: 2, over: d}}", "{v: d, w: e}"), "3:20: 'e' is over 'd', which does not stand in the same"),
    (spec(tensors="{w: [{rows: 0..3}]}"), "3:15: a block needs its axes: {rows: 0..15, axes: a b}"),
    (spec(tensors="{w: [{rows: 0-3, axes: d}]}"), "3:22: 'rows' must be a range like 0..11, both ends included"),
    (spec(tensors="{w: [{row: 0..3, axes: d}]}"), "3:16: unknown key 'row'; a block may have rows, axes"),
    (
        spec(tensors="{w: [{rows: 0..4, axes: d}]}"),
        "3:34: the first axis has 4 units, but 'rows' has 5; they must agree",
    ),
    (
        spec(tensors="{w: [{rows: 0..3, axes: d d}, {rows: 4..7, axes: d _5}]}"),
        "3:59: axis 1 has 5 units here and 4 in the blocks before; they must agree",
    ),
    (
        spec(tensors="{w: [{rows: 0..3, axes: d d}, {rows: 4..7, axes: d}]}"),
        "3:59: this block has 1 axes, the one before 2; they must agree",
    ),
    (
        spec(tensors="{w: [{rows: 0..3, axes: d}, {rows: 3..6, axes: d}]}"),
        "3:38: this block and the one of [0..3] as 4 have units in common; cut one back",
    ),
    (spec(more="repeat: {l: 3}"), "4:13: the range of l must be a range like 0..11, both ends included, not '3'"),
    (spec(more="repeat: {l: 3..0}"), "4:13: the range of l must be a range like 0..11"),
    (spec(more="repeat: {2: 0..3}"), "4:10: '2' is no letter; use one like l, or a word"),
    (spec(more="repeat: {l: 0..3}"), "4:10: nothing uses {l}; remove it"),
    (spec(tensors="\n  w.{l}: d"), "4:3: {l} is not declared; add l: 0..11 under 'repeat'"),
    (
        spec("\n  d: 4\n  e.{l}: 3", "\n  v: d\n  w: e.{l}", "repeat: {l: 0..1}"),
        "7:3: 'w' stands here for the second time (first in line 7); keep one",
    ),
    (spec(more="pinned: {}"), "4:9: 'pinned' must be a list"),
    (spec(more="pinned: [{axes: ['w[0] _4']}]"), "4:10: a pin has either 'pin' (a name under 'groups') or 'reason'"),
    (spec(more="pinned: [{reason: x}]"), "4:10: a pin without a name needs 'axes'"),
    (spec(more="pinned: [{reason: x, axes: [w]}]"), "4:29: 'w' is no axis; write it like lm_head.weight[0] _32000"),
    (spec(more="pinned: [{reason: x, axes: ['w[0] _']}]"), "4:35: one axis with the sizes of its parts is wanted here"),
    (
        spec(more="pinned: [{reason: x, axes: ['w[0] d']}]"),
        "4:35: 'd' is no size; write _64 for pinned units and 64 for",
    ),
    (spec(more="pinned: [{reason: x, axes: ['w[0] _5']}]"), "4:29: this reaches to unit 4, but the axis has 4 units"),
    (spec(more="pinned: [{reason: x, axes: ['w[1] _5']}]"), "4:29: w has 1 axes, so none is numbered 1; count from 0"),
    (
        spec(more="pinned: [{pin: d}]"),
        "4:16: no pinned leaf is called 'd'; declare it under 'groups' as {size:, pinned:}",
    ),
    (
        spec(more="pinned: [{reason: x, each: l, axes: ['w[0] _4']}]"),
        "4:28: the letter 'l' is not declared; add l: 0..11",
    ),
    (
        spec("{d: 4, p: {size: 2, pinned: x}}", "{w: (d p)}", "pinned: [{pin: p}, {pin: p}]"),
        "4:9: 'p' is listed twice under 'pinned'; keep one",
    ),
    (
        spec("{d: 4, p: {size: 2, pinned: x}}", "{w: (d p)}", "pinned: [{pin: p, size: 2}]"),
        "4:25: the size of 'p' stands under 'groups'; remove it here",
    ),
    (spec(more="notes: none"), "4:8: 'notes' must be a list"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[message[:60] for _, message in MISTAKES])
def test_every_mistake_is_reported_where_it_stands(text, message):
    with pytest.raises(SpecError) as error:
        parse_spec(text, "model.yaml")
    assert str(error.value).startswith(f"model.yaml:{message}")


def test_load_names_the_file(tmp_path):
    path = tmp_path / "bad.yaml"
    with pytest.raises(SpecError, match=r"cannot read the spec .*bad\.yaml: No such file"):
        load_spec(path)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(SpecError, match="not UTF-8 text"):
        load_spec(path)
    path.write_text(spec("{d: 0}"))
    with pytest.raises(SpecError, match=r"bad\.yaml:2:13: "):
        load_spec(path)
    path.write_text(spec())
    assert load_spec(path).groups[0].name == "d"
