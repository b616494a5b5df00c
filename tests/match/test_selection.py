"""Which groups take part: patterns, kinds, and the search among kinds."""

import pytest

from graphmerge.errors import InputError
from graphmerge.match.selection import choose_kinds, kinds, named_groups
from graphmerge.symmetry import Group, Pin, Symmetry


def symmetry() -> Symmetry:
    groups = [Group("residual", 8)]
    for i in range(2):
        heads = f"layers.{i}.heads"
        groups += [Group(heads, 2), Group(f"layers.{i}.v", 4, (heads,)), Group(f"layers.{i}.ffn", 16)]
    groups.append(Group("alibi.v", 4, ("alibi.heads",)))
    return Symmetry(tuple(groups), (Pin((), "by alibi", "alibi.heads", 2),), {}, {})


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("ffn", ["layers.0.ffn", "layers.1.ffn"]),
        ("layers.1.*", ["layers.1.heads", "layers.1.v", "layers.1.ffn"]),
        ("layers.0.heads", ["layers.0.heads", "layers.0.v"]),
        ("heads", ["layers.0.heads", "layers.0.v", "layers.1.heads", "layers.1.v", "alibi.v"]),
        ("v", ["layers.0.v", "layers.1.v", "alibi.v"]),
        ("alibi.heads", ["alibi.v"]),
        ("residual, layers.0.ffn", ["residual", "layers.0.ffn"]),
        (["layers.0.ffn", "res*"], ["residual", "layers.0.ffn"]),
        ("*.ffn", ["layers.0.ffn", "layers.1.ffn"]),
        ("attention", ["layers.0.heads", "layers.0.v", "layers.1.heads", "layers.1.v", "alibi.v"]),
    ],
)
def test_patterns(patterns, expected):
    assert list(named_groups(symmetry(), patterns)) == expected


def test_an_unknown_pattern_names_those_that_exist():
    with pytest.raises(InputError) as error:
        named_groups(symmetry(), "ffn,fnn")
    assert str(error.value) == (
        "no group is called 'fnn'; there are residual, layers.*.heads, layers.*.v, layers.*.ffn, alibi.v, "
        "the word attention"
    )


def test_attention_needs_no_heads():
    """One head of queries, keys and values is no group; what is inside takes part all the same."""
    names = ("residual", "layers.0.qk", "layers.0.v_2", "layers.0.ffn", "layers.0.query_heads")
    alone = Symmetry(tuple(Group(name, 4) for name in names), (), {}, {})
    assert named_groups(alone, "attention") == ("layers.0.qk", "layers.0.v_2", "layers.0.query_heads")
    with pytest.raises(InputError) as error:
        named_groups(Symmetry((Group("residual", 4),), (), {}, {}), "attention")
    assert str(error.value) == "no group is called 'attention'; there are residual"


@pytest.mark.parametrize("nothing", ["", " , ", []])
def test_no_pattern_is_refused(nothing):
    with pytest.raises(InputError, match='to move nothing use method="identity"'):
        named_groups(symmetry(), nothing)


def test_kinds_are_those_of_the_outermost_base():
    assert kinds(symmetry()) == {
        "residual": ("residual",),
        "heads": ("layers.0.heads", "layers.0.v", "layers.1.heads", "layers.1.v", "alibi.v"),
        "ffn": ("layers.0.ffn", "layers.1.ffn"),
    }


def test_the_search_leaves_out_what_hurts():
    gains = {"residual": -1.0, "ffn": 3.0, "heads": -0.5}
    best, tried = choose_kinds(tuple(gains), lambda chosen: 10 - sum(gains[k] for k in chosen), rounding=0)
    assert best.kinds == ("ffn",)
    assert best.barrier == 7
    assert [t.barrier for t in tried] == sorted(t.barrier for t in tried)
    assert str(tried[0]) == "ffn 7.0000"


def test_the_search_ends_with_nothing_if_all_hurts():
    barriers = {0: 1.0, 1: 3.0, 2: 2.0}  # everything is a dead end: leaving out one of the two makes it worse
    best, tried = choose_kinds(("residual", "ffn"), lambda chosen: barriers[len(chosen)], rounding=0)
    assert best.kinds == ()
    assert str(tried[0]) == "nothing 1.0000"


def test_what_does_not_clearly_help_is_not_left_out():
    """Nothing has a barrier of 1, or none: falls below a thousandth, or below rounding, do not count."""
    for nothing, both, expected in ((1.0, 1e-4, "ab"), (1.0, 1e-2, "a"), (0.0, 1e-2, "ab"), (0.0, 0.2, "a")):
        barriers = {(): nothing, ("a", "b"): both, ("a",): 0.0, ("b",): 1.0}
        best, _ = choose_kinds(("a", "b"), barriers.__getitem__, rounding=0.1)
        assert "".join(best.kinds) == expected


def test_no_kind_at_all():
    assert choose_kinds((), lambda chosen: 1.0, rounding=0)[0].kinds == ()
