"""Saving specs: the text that people will read, and symmetries that are hard to say."""

import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings

from graphmerge.errors import SpecError
from graphmerge.spec import load_spec, parse_spec, save_spec, spec_text
from graphmerge.symmetry import Axis, Block, Group, Move, Part, Pin, Run, Symmetry, members_of

from ..symmetry.drawn import symmetries

CANONICAL = """\
graphmerge: 1
model: Tiny
repeat: {l: 0..1}
groups:
  residual: {size: 6, kind: signed_permutation}
  memory: 6
  layers.{l}.heads: {size: 2, pinned: constant alibi varies along it}
  layers.{l}.qk: {size: 3, over: "layers.{l}.heads", kind: invertible}
  layers.{l}.ffn: 5
tensors:
  embed.weight: _ residual
  h.{l}.qkv.weight: residual (layers.{l}.heads (layers.{l}.qk + layers.{l}.qk + _2))
  h.{l}.cross.weight:
    - rows: 0..5
      axes: (layers.{l}.heads layers.{l}.qk) residual
    - rows: 6..16
      axes: ((layers.{l}.heads layers.{l}.qk) + _5) memory
  h.{l}.up.weight: (layers.{l}.ffn + layers.{l}.ffn) _6
  head.weight: _ residual
pinned:
  - reason: look-up
    axes:
      - embed.weight[0] _29
      - head.weight[0] _29
  - pin: layers.{l}.heads
    each: l
  - reason: constant table varies along it
    each: l
    axes: ["h.{l}.qkv.weight[1] (2 (-6 + _2))"]
notes:
  - "op: unknown"
"""


def test_the_canonical_text_comes_back_to_the_byte():
    assert spec_text(parse_spec(CANONICAL)) == CANONICAL


def test_other_programs_can_read_the_file():
    read = yaml.safe_load(CANONICAL)
    assert list(read) == ["graphmerge", "model", "repeat", "groups", "tensors", "pinned", "notes"]
    assert read["groups"]["layers.{l}.qk"] == {"size": 3, "over": "layers.{l}.heads", "kind": "invertible"}
    assert read["tensors"]["embed.weight"] == "_ residual"
    assert read["repeat"] == {"l": "0..1"}


@settings(max_examples=100, deadline=None)
@given(symmetries())
def test_any_symmetry_comes_back_equal(symmetry):
    text = spec_text(symmetry)
    read = parse_spec(text)
    assert read == symmetry
    assert list(read.layout) == list(symmetry.layout)
    assert spec_text(read) == text


HARD = {
    "words: bodies of two, neighbours that share no letter, an odd one out": """\
repeat: {l: 0..1, n: [weight, bias], n2: [weight, bias], p: [q, k]}
groups:
  d: 4
  i: 3
tensors:
  first.{n}: d
  word.weight: _ d
  place.weight: _ d
  h.{l}.norm.{n}: d
  h.{l}.after.{n2}: i
  h.{l}.self.{p}.weight: i d
  h.{l}.self.{p}.bias: i
  h.{l}.self.v.weight: i _
  h.{l}.self.v.bias: i
  h.{l}.self.o.{n}: d
""",
    "pairs on two axes, either way round, and in one piece": """\
groups:
  pairs: 6
tensors:
  a: pairs/0:2 pairs/1:3
  b: pairs/1:3 _4 pairs/0:2
  c: pairs
""",
    "the base stands twice": """\
groups:
  h: 2
  v: {size: 3, over: h}
tensors:
  a: h h v@2
  b: (h v) h
""",
    "over the same group twice": """\
groups:
  h: 2
  v: {size: 3, over: [h, h]}
tensors:
  a: h h v@1,2
""",
    "a box that moves beside boxes that do not": """\
groups:
  a: 2
  b: 3
tensors:
  v: (a + -4) (-5 + b)
  w:
    - rows: 0..1
      axes: a (_3 + -2)
    - rows: 2..4
      axes: b (-3 + _2)
    - rows: 5..6
      axes: _ _
""",
    "boxes that interleave but have nothing in common": """\
groups:
  a: 2
  c: 3
  b: 2
  d: 4
tensors:
  w:
    - axes: (a (_1 + -1)) (c + -4)
    - axes: (b (-1 + _1)) (-3 + d)
""",
    "names that need quotes": """\
groups:
  two words: 2
  _7: 3
  "null": 4
tensors:
  "a: b": "`two words` `_7` null"
""",
    "experts in layers": """\
repeat: {l: 0..2, e: 0..3}
groups:
  layers.{l}.experts.{e}.ffn: 5
tensors:
  h.{l}.experts.{e}.up: layers.{l}.experts.{e}.ffn _2
  h.{l}.experts.{e}.down: _3 layers.{l}.experts.{e}.ffn
""",
    "axes whose length nobody knows": """\
groups:
  d: 4
tensors:
  embed: _ d
  pos: _ _ d
""",
    "one pin on many axes, one a layer, one that no tensor says": """\
repeat: {l: 0..2}
groups:
  d: 4
  held: {size: 2, pinned: router}
  v: {size: 3, over: held}
tensors:
  embed: _ d
  h.{l}.w: (held v)
pinned:
  - reason: unknown op
    size: 9
    axes:
      - embed[0] _9
      - h.{l}.b[0] (2 (_4 + -1 + _3))
  - pin: held
    axes: ["gate.bias[0] _2"]
  - reason: table.{l}
    each: l
    axes: ["t.{l}[0] _7"]
""",
    "nothing moves": """\
groups: {}
tensors: {}
""",
}


@pytest.mark.parametrize("name", HARD)
def test_hard_cases_come_back_to_the_byte(name):
    text = f"graphmerge: 1\nmodel: Hard\n{HARD[name]}"
    assert spec_text(parse_spec(text)) == text


def test_save_writes_whole_files(tmp_path):
    symmetry = parse_spec("graphmerge: 1\ngroups: {d: 4}\ntensors: {w: d}")
    path = tmp_path / "new" / "spec.yaml"
    symmetry.to_yaml(path)
    first = path.read_bytes()
    assert load_spec(path) == symmetry
    save_spec(load_spec(path), path)
    assert path.read_bytes() == first
    assert [x.name for x in path.parent.iterdir()] == ["spec.yaml"]


def symmetry_of(layout, shapes, sizes) -> Symmetry:
    members = members_of(layout)
    return Symmetry(tuple(Group(n, k, (), members.get(n, ())) for n, k in sizes.items()), (), layout, shapes)


def test_what_the_notation_cannot_say_is_an_error():
    transposed = Block((Run(0, (2, 3), (1, 2)),), (Move("a", (0,)),))
    with pytest.raises(SpecError, match="cannot say the blocks of w: they are no products or sums"):
        spec_text(symmetry_of({"w": (transposed,)}, {"w": (6,)}, {"a": 2}))
    whole = Block((Run(0, (2,), (1,)),), (Move("a", (0,)),))
    with pytest.raises(SpecError, match=r"cannot say this symmetry: .*no tensor names 'b'"):
        spec_text(symmetry_of({"w": (whole,)}, {"w": (2,)}, {"a": 2, "b": 3}))
    good = symmetry_of({"w": (whole,)}, {"w": (2,)}, {"a": 2})
    with pytest.raises(SpecError, match="its groups would come back different"):
        spec_text(replace(good, groups=(replace(good.groups[0], members=()),)))
    both = Pin((Axis("t", 0, Part(Run(0, (2, 3), (3, 1)), (0, 1))),), "two factors in one part")
    with pytest.raises(SpecError, match="cannot say the pin t\[0\]"):
        spec_text(replace(good, pinned=(both,)))


COMMENTED = """\
# who wrote it
# and why
graphmerge: 1  # the version
model: Tiny
repeat: {l: 0..1}
# what moves
groups:
  residual: 6  # the stream
  # in every layer
  layers.{l}.ffn: 5
tensors:
  embed.weight: _ residual  # rows are "words": they stay # really
  h.{l}.up.weight: layers.{l}.ffn residual
  # the last one: {l} is not used
  head.weight: _ residual
# the end
"""


def test_comments_are_kept():
    symmetry = parse_spec(COMMENTED)
    assert spec_text(symmetry) == COMMENTED
    assert spec_text(parse_spec(spec_text(symmetry))) == COMMENTED
    plain = parse_spec(re.sub(r" *# .*", "", COMMENTED))
    assert plain.comments == {}
    assert plain == symmetry


def test_comments_move_with_their_entries():
    """In another order, and with entries that a list of words stood for, which are written one by one."""
    text = COMMENTED.replace("  h.{l}.up.weight: l", "  h.{l}.{n}: l").replace("0..1}", "0..1, n: [up.weight]}")
    text = text.replace("  # in every layer\n  layers.{l}.ffn: 5\n", "  layers.{l}.ffn: 5 # in every layer\n")
    text = text.replace("  h.{l}.{n}", "  # first\n  h.{l}.{n}")
    written = spec_text(parse_spec(text))
    assert "  layers.{l}.ffn: 5  # in every layer\n" in written
    assert "  # first\n  h.{l}.up.weight: layers.{l}.ffn residual\n" in written


def test_a_hash_inside_a_text_is_no_comment():
    text = 'graphmerge: 1\nmodel: "a # b"\ngroups:\n  d#1: 4\ntensors:\n  w: d#1\nnotes:\n  - it is #1\n'
    symmetry = parse_spec(text.replace("- it is #1", '- "it is #1"'))
    assert symmetry.comments == {}
    assert symmetry.notes == ("it is #1",)
