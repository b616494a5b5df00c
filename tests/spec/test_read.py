"""Reading specs: the design's example, hand-written forms, and every mistake with its place."""

from types import SimpleNamespace

import pytest
import torch

from graphmerge.errors import ArchitectureMismatch, SpecError
from graphmerge.spec import load_spec, parse_spec, spec_text
from graphmerge.spec.target import Target
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


FAMILY = """\
graphmerge: 1
model: [TinyForMaskedLM, TinyForTagging]
sizes:
  D: head_dim or hidden_size / num_heads
repeat: {l: 0..layers - 1, p: [query, key], e: [0, 2..3]}
groups:
  residual: hidden_size
  heads.{l}: num_heads
  qk.{l}: {size: D, over: heads.{l}}
  inner.{l}: ffn.{l}
  pooler: hidden_size
tensors:
  embed: _ residual
  head?: = embed
  layer.{l}.{p}: (heads.{l} qk.{l}) residual
  layer.{l}.{p}.bias?: (heads.{l} qk.{l})
  layer.{l}.up.{e}: inner.{l} residual
  pooler?: pooler residual
pinned:
  - reason: words
    axes: ["embed[0] _29", "head[0] _29"]
"""
CONFIG = {"hidden_size": 6, "num_heads": 3, "head_dim": None, "layers": 2, "ffn": [4, 5]}


def test_sizes_come_from_the_config_and_letters_from_lists():
    symmetry = parse_spec(FAMILY, target=Target(CONFIG))
    assert {g.name: g.size for g in symmetry.groups} == {
        "residual": 6, "heads.0": 3, "qk.0": 2, "inner.0": 4, "heads.1": 3, "qk.1": 2, "inner.1": 5, "pooler": 6
    }  # fmt: skip
    assert [key for key in symmetry.layout if key.startswith("layer.1")] == [
        "layer.1.query", "layer.1.query.bias", "layer.1.key", "layer.1.key.bias",
        "layer.1.up.0", "layer.1.up.2", "layer.1.up.3",
    ]  # fmt: skip
    assert symmetry.layout["head"] == symmetry.layout["embed"]
    assert symmetry.shapes["layer.1.up.3"] == (5, 6)
    assert symmetry.model == "TinyForMaskedLM"
    assert parse_spec(FAMILY, target=Target(CONFIG | {"head_dim": 7}))["qk.1"].size == 7
    assert parse_spec(FAMILY, target=Target(SimpleNamespace(**CONFIG))) == symmetry
    none = parse_spec(FAMILY, target=Target(CONFIG | {"layers": 0}))
    assert [g.name for g in none.groups] == ["residual", "pooler"]


def test_optional_tensors_of_a_model_that_has_some():
    shapes = {"embed": (29, 6)} | {f"layer.{k}.{p}": (6, 6) for k in (0, 1) for p in ("query", "key")}
    shapes |= {f"layer.{k}.up.{e}": (4 + k, 6) for k in (0, 1) for e in (0, 2, 3)}
    shapes["layer.1.key.bias"] = (6,)
    symmetry = parse_spec(FAMILY, target=Target(CONFIG, shapes, "TinyForTagging"))
    assert set(symmetry.layout) == set(shapes)
    assert "pooler" not in symmetry.by_name
    assert symmetry.pinned[0].axes == (Axis("embed", 0, Part(Run(0, (29,), (1,)), (0,))),)
    assert symmetry.model == "TinyForTagging"
    assert symmetry.optional == frozenset()


def test_optional_tensors_without_a_model():
    """They stay optional: weights that lack them move all the same, and the file comes back."""
    symmetry = parse_spec(FAMILY, target=Target(CONFIG))
    assert "layer.0.key.bias" in symmetry.optional
    assert "embed" not in symmetry.optional
    state = {key: torch.rand(shape) for key, shape in symmetry.shapes.items() if key not in symmetry.optional}
    p = symmetry.random(1)
    moved = p.apply(state)
    assert not torch.equal(moved["layer.0.query"], state["layer.0.query"])
    assert torch.equal(p.inverse().apply(moved)["layer.1.up.3"], state["layer.1.up.3"])
    assert "pooler" not in symmetry.fit({key: tuple(t.shape) for key, t in state.items()}).by_name
    with pytest.raises(ArchitectureMismatch, match=r"no tensor 'layer\.0\.query'"):
        p.apply({"embed": state["embed"]})
    assert parse_spec(spec_text(symmetry)) == symmetry
    assert "  layer.{l}.{p}.bias?: (heads.{l} qk.{l})\n" in spec_text(symmetry)


def spec(groups: str) -> str:
    return f"graphmerge: 1\ngroups: {groups}\ntensors: {{w: d}}\n"


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
    path.write_text(spec("{d: 4}"))
    assert load_spec(path).groups[0].name == "d"


TIED = """\
graphmerge: 1
groups:
  d: hidden_size
  # the decoder's
  head: {size: hidden_size, is: d if tied}
tensors:
  embed: _ d
  transform: head d
  decoder: _ head
"""


def test_groups_that_are_one_by_the_config():
    apart = parse_spec(TIED, target=Target({"hidden_size": 5, "tied": False}))
    assert [g.name for g in apart.groups] == ["d", "head"]
    assert [axis.tensor for axis in apart["head"].members] == ["transform", "decoder"]
    one = parse_spec(TIED, target=Target({"hidden_size": 5, "tied": True}))
    assert [g.name for g in one.groups] == ["d"]
    assert [(axis.tensor, axis.axis) for axis in one["d"].members] == [
        ("embed", 1), ("transform", 0), ("transform", 1), ("decoder", 1)
    ]  # fmt: skip
    for symmetry in (apart, one):
        assert parse_spec(spec_text(symmetry)) == symmetry
