"""Runs, blocks and symmetries as plain data."""

import math

import numpy as np
import pytest

from graphmerge.errors import ArchitectureMismatch, SpecError
from graphmerge.symmetry import UNKNOWN, Axis, Block, Group, Move, Part, Pin, Run, Symmetry, axes_of, members_of

HEADS = Run(6, (2, 3), (10, 1))
BLOCK = Block((HEADS, Run(0, (4,), (1,))), (Move("h", (0,)), Move("v", (1,), (0,)), Move("d", (2,))))


def symmetry(**changes) -> Symmetry:
    layout = {"qkv": (BLOCK,), "norm": (Block((Run(0, (4,), (1,)),), (Move("d", (0,)),)),)}
    members = members_of(layout)
    groups = [Group("v", 3, ("h",), members["v"]), Group("h", 2, (), members["h"]), Group("d", 4, (), members["d"])]
    facts = {
        "groups": tuple(groups),
        "pinned": (),
        "layout": layout,
        "shapes": {"qkv": (20, 4), "norm": (4,)},
    }
    return Symmetry(**(facts | changes))


def test_run_in_mixed_radix():
    assert HEADS.length == 6
    assert HEADS.units().tolist() == [[6, 7, 8], [16, 17, 18]]
    assert Run(5, (), ()).units().tolist() == 5
    assert str(HEADS) == "[6..18] as 2×3"
    assert str(Run(5, (), ())) == "[5]"


def test_block_counts_factors_over_all_axes():
    assert BLOCK.sizes == (2, 3, 4)
    assert [(BLOCK.axis_of(d), BLOCK.factor_of(d)) for d in range(3)] == [(0, 0), (0, 1), (1, 0)]
    with pytest.raises(IndexError):
        BLOCK.axis_of(3)


def test_members_follow_from_the_layout():
    found = members_of(symmetry().layout)
    assert list(found) == ["h", "v", "d"]
    assert found["v"] == (Axis("qkv", 0, Part(HEADS, (1,))),)
    assert [str(axis) for axis in found["d"]] == ["qkv[1] [0..3] as 4", "norm[0] [0..3] as 4"]
    assert str(found["h"][0]) == "qkv[0] [6..18] as 2×3, factor 0"


def test_a_group_of_pairs_on_two_axes_is_two_members():
    block = Block((Run(0, (2, 3), (3, 1)), Run(0, (4,), (1,))), ())
    assert list(axes_of("w", block, (2, 0))) == [
        Axis("w", 1, Part(block.runs[1], (0,))),
        Axis("w", 0, Part(block.runs[0], (0,))),
    ]
    assert list(axes_of("w", block, (0, 1))) == [Axis("w", 0, Part(block.runs[0], (0, 1)))]


def test_sizes_shapes_and_order():
    found = symmetry()
    assert found.shape("v") == (2, 3)
    assert found.copies("v") == 2
    assert found.log_order() == pytest.approx(2 * math.log(6) + math.log(2) + math.log(24))
    assert found.bases_first() == ["h", "v", "d"]
    assert found["d"].size == 4
    with pytest.raises(KeyError, match="no group 'x'; the groups are v, h, d"):
        found["x"]


def test_a_named_pin_counts_as_a_base():
    pin = Pin((), "alibi", "h", 2)
    groups = (Group("v", 3, ("h",)), Group("d", 4))
    found = symmetry(groups=groups, pinned=(pin,))
    assert found.shape("v") == (2, 3)
    assert found.bases_first() == ["v", "d"]


def test_bases_must_make_sense():
    with pytest.raises(SpecError, match="'v' is over 'h', which is neither a group nor a named pin"):
        symmetry(groups=(Group("v", 3, ("h",)),))
    with pytest.raises(SpecError, match="'v' is over 'h', which is over 'd'; it must be over that too"):
        symmetry(groups=(Group("v", 3, ("h",)), Group("h", 2, ("d",)), Group("d", 4)))
    loop = symmetry(groups=(Group("a", 3, ("b", "a")), Group("b", 2, ("a", "b"))))
    with pytest.raises(SpecError, match="groups are over each other: a -> b"):
        loop.bases_first()


def test_data_cannot_be_changed():
    found = symmetry()
    with pytest.raises(TypeError):
        found.layout["x"] = ()
    with pytest.raises(TypeError):
        found.shapes["x"] = ()


def test_equality_ignores_trace_and_places():
    assert symmetry() == symmetry(trace=object(), places={"d": "a.yaml:1:1"})
    assert symmetry() != symmetry(notes=("x",))
    assert "trace" not in repr(symmetry(trace="secret"))


def open_symmetry() -> Symmetry:
    block = Block((Run(0, (UNKNOWN,), (1,)), Run(0, (4,), (1,))), (Move("d", (1,)),))
    return Symmetry((Group("d", 4),), (), {"embed": (block,)}, {"embed": (UNKNOWN, 4)})


def test_fit_fills_in_open_sizes():
    found = open_symmetry().fit({"embed": (29, 4), "other": (1,)})
    assert found.shapes == {"embed": (29, 4)}
    assert found.layout["embed"][0].runs[0] == Run(0, (29,), (1,))
    assert found.fit({"embed": (29, 4)}) is found


def test_fit_checks_every_shape():
    for shapes, message in [
        ({}, "no tensor 'embed'"),
        ({"embed": (29,)}, r"embed has shape \(29,\), the symmetry expects \('any', 4\)"),
        ({"embed": (29, 5)}, r"embed has shape \(29, 5\)"),
    ]:
        with pytest.raises(ArchitectureMismatch, match=message):
            open_symmetry().fit(shapes)


def test_open_sizes_are_never_counted_with():
    block = open_symmetry().layout["embed"][0]
    for use in (lambda: block.sizes, lambda: block.runs[0].length, lambda: block.runs[0].units()):
        with pytest.raises(SpecError, match=r"leaves the size of an axis open.*symmetry\.fit"):
            use()


def test_random_elements_are_uniform_enough():
    found = symmetry()
    seen = {tuple(found.random(seed).arrays["d"]) for seed in range(300)}
    assert len(seen) == 24
    arrays = [found.random(seed).arrays["v"] for seed in range(50)]
    assert any(not np.array_equal(a[0], a[1]) for a in arrays)
