import json

from graphmerge.report import group_rows, pin_rows, symmetry_data, symmetry_report, to_json, to_text
from graphmerge.symmetry import Axis, Group, Part, Pin, Run, Symmetry


def axis(tensor: str, number: int, size: int) -> Axis:
    return Axis(tensor, number, Part(Run(0, (size,), (1,)), (0,)))


def layers(count: int = 3, **changes: int) -> Symmetry:
    """Residual, and in each layer heads, qk over heads and ffn; experts over the pinned leaf ``routes``."""
    groups = [Group("residual", 8, members=(axis("emb", 1, 8), axis("emb", 1, 8), axis("head", 1, 8)))]
    for i in range(count):
        groups += [
            Group(f"layers.{i}.heads", 2),
            Group(f"layers.{i}.qk", 4, (f"layers.{i}.heads",)),
            Group(f"layers.{i}.ffn", changes.get(f"ffn{i}", 3072)),
        ]
    groups.append(Group("experts", 5, ("routes",), kind="signed_permutation"))
    pinned = (
        Pin((axis("emb", 0, 29),), "vocabulary"),
        Pin((axis("pos", 0, 16), axis("pos2", 0, 16)), "position table"),
        Pin((axis("types", 0, 2),), "vocabulary"),
        Pin((), "router", "routes", 6),
    )
    return Symmetry(tuple(groups), pinned, {}, {}, model="Net", notes=("[aten.foo] is unknown",))


def test_groups_fold_over_layers():
    rows = {r.pattern: r for r in group_rows(layers())}
    assert list(rows) == ["residual", "layers.{0..2}.heads", "layers.{0..2}.qk", "layers.{0..2}.ffn", "experts"]
    assert rows["layers.{0..2}.qk"].over == ("layers.{0..2}.heads",)
    assert (rows["layers.{0..2}.qk"].groups, rows["layers.{0..2}.qk"].copies) == (3, 2)
    assert rows["residual"].tensors == 2
    assert (rows["experts"].over, rows["experts"].copies) == (("routes",), 6)


def test_a_layer_of_another_size_has_a_row_of_its_own():
    rows = {r.pattern: r.size for r in group_rows(layers(ffn1=64))}
    assert rows["layers.{0,2}.ffn"] == 3072
    assert rows["layers.1.ffn"] == 64


def test_groups_over_one_shared_base_name_it():
    groups = [Group("shared.7.heads", 2)] + [Group(f"layers.{i}.v", 4, ("shared.7.heads",)) for i in (1, 2)]
    rows = group_rows(Symmetry(tuple(groups), (), {}, {}))
    assert [(r.pattern, r.over) for r in rows] == [("shared.7.heads", ()), ("layers.{1..2}.v", ("shared.7.heads",))]


def test_pins_are_counted_by_reason():
    assert [(r.reason, r.leaves, r.axes) for r in pin_rows(layers())] == [
        ("vocabulary", 2, 2),
        ("position table", 1, 2),
        ("router", 1, 0),
    ]


def test_text():
    text = to_text(symmetry_report(layers()))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "layers.{0..2}.ffn 3,072 – 3 1 0 permutation" in lines
    assert "layers.{0..2}.qk 4 layers.{0..2}.heads 3 2 0 permutation" in lines
    assert "vocabulary 2 2 emb[0] [0..28] as 29" in lines  # brackets are no markup
    assert "note: [aten.foo] is unknown" in lines
    assert lines[0].startswith("Net: 11 groups, 10^")


def test_the_kind_is_said_where_there_are_others():
    plain = Symmetry((Group("residual", 4),), (), {}, {})
    assert "kind" not in to_text(symmetry_report(plain))
    assert "model: 1 groups, 24 elements" in to_text(symmetry_report(plain))


def test_text_keeps_long_names_whole():
    name = "a_very_long_name_" * 12
    text = to_text(symmetry_report(Symmetry((Group(name, 4),), (), {}, {})), width=60)
    assert name in "".join(line.split()[0] for line in text.splitlines()[3:] if line.split())
    assert max(map(len, text.splitlines())) <= 60


def test_json():
    symmetry = layers()
    data = json.loads(to_json(symmetry_data(symmetry)))
    assert data["log_order"] == symmetry.log_order()
    assert data["groups"][3]["pattern"] == "layers.{0..2}.ffn"
    assert data["pinned"][0] == {"reason": "vocabulary", "leaves": 2, "axes": 2, "example": "emb[0] [0..28] as 29"}
