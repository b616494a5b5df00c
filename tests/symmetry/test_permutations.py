"""Permutations: action, group operations, aliases, dtypes, files."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from graphmerge.errors import ArchitectureMismatch, InputError
from graphmerge.symmetry import UNKNOWN, Block, Group, Move, Permutations, Run, Symmetry

from .drawn import move_slowly, state_of, symmetries

seeds = st.integers(0, 99)
quick = settings(max_examples=60, deadline=None)


def attention() -> Symmetry:
    """Two heads of three units in a fused projection of four rows of input, and a bias."""
    keys = Block(
        (Run(0, (2, 3), (3, 1)), Run(0, (4,), (1,))), (Move("h", (0,)), Move("k", (1,), (0,)), Move("d", (2,)))
    )
    values = Block((Run(6, (2, 3), (3, 1)), Run(0, (4,), (1,))), (Move("h", (0,)), Move("d", (2,))))
    layout = {"qv.weight": (keys, values), "norm": (Block((Run(0, (4,), (1,)),), (Move("d", (0,)),)),)}
    groups = (Group("h", 2), Group("k", 3, ("h",)), Group("d", 4))
    return Symmetry(groups, (), layout, {"qv.weight": (12, 4), "norm": (4,)})


def test_apply_says_where_units_come_from():
    symmetry = attention()
    p = Permutations(symmetry, {"h": [1, 0], "k": [[0, 2, 1], [1, 2, 0]], "d": [3, 0, 1, 2]})
    state = {"qv.weight": torch.arange(48).reshape(12, 4), "norm": torch.tensor([10, 11, 12, 13])}
    moved = p.apply(state)
    assert moved["norm"].tolist() == [13, 10, 11, 12]
    rows = [3, 5, 4, 1, 2, 0, 9, 10, 11, 6, 7, 8]
    assert moved["qv.weight"].tolist() == state["qv.weight"][rows][:, [3, 0, 1, 2]].tolist()


@quick
@given(symmetries(), seeds)
def test_apply_agrees_with_the_slow_reference(symmetry, seed):
    p = symmetry.random(seed)
    state = state_of(symmetry)
    moved = p.apply(state)
    assert list(moved) == list(state)
    assert moved["free.weight"] is state["free.weight"]
    for key in symmetry.layout:
        assert np.array_equal(moved[key].numpy(), move_slowly(p, key, state[key].numpy()))


@quick
@given(symmetries(), seeds, seeds)
def test_composition_and_inverse_follow_the_action(symmetry, one, two):
    p, q = symmetry.random(one), symmetry.random(two)
    state = state_of(symmetry)
    both, steps = (p @ q).apply(state), p.apply(q.apply(state))
    assert all(torch.equal(both[key], steps[key]) for key in state)
    assert (p @ p.inverse()).is_identity
    assert (p.inverse() @ p).is_identity
    assert (p @ q).inverse() == q.inverse() @ p.inverse()
    assert p @ symmetry.identity() == p == symmetry.identity() @ p


@quick
@given(symmetries(), seeds)
def test_save_and_load_round_trip(tmp_path_factory, symmetry, seed):
    path = tmp_path_factory.mktemp("p") / "p.safetensors"
    p = symmetry.random(seed)
    p.save(path)
    loaded = Permutations.load(path)
    assert loaded == p
    assert loaded.symmetry == symmetry
    assert list(loaded.symmetry.layout) == list(symmetry.layout)
    assert [x.name for x in path.parent.iterdir()] == ["p.safetensors"]


def test_apply_mutates_nothing():
    symmetry = attention()
    state = state_of(symmetry)
    before = {key: tensor.clone() for key, tensor in state.items()}
    moved = symmetry.random(3).apply(state)
    assert all(torch.equal(state[key], before[key]) for key in state)
    moved["qv.weight"].zero_()
    assert state["qv.weight"].any()


def test_identity_passes_every_tensor_through():
    state = state_of(attention())
    moved = attention().identity().apply(state)
    assert all(moved[key] is state[key] for key in state)


DTYPES = [
    torch.float64,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.bool,
    torch.complex128,
    torch.int8,
    torch.uint16,
    torch.int64,
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype_and_every_bit_stay(dtype):
    symmetry = attention()
    p = symmetry.random(1)
    weight = (torch.arange(48) % 7 - (0 if dtype in (torch.bool, torch.uint16) else 3)).reshape(12, 4).to(dtype)
    moved = p.apply({"qv.weight": weight, "norm": weight[0]})["qv.weight"]
    assert moved.dtype == dtype
    wide = torch.complex128 if dtype.is_complex else torch.float64
    expected = move_slowly(p, "qv.weight", weight.to(wide).numpy())
    assert np.array_equal(moved.to(wide).numpy(), expected)


def test_meta_tensors_stay_on_meta_and_aliases_stay_one():
    symmetry = Symmetry(
        (Group("d", 4),),
        (),
        {key: (Block((Run(0, (4,), (1,)),), (Move("d", (0,)),)),) for key in ("in", "out", "other")},
        {"in": (4,), "out": (4,), "other": (4,)},
    )
    for device in ("cpu", "meta"):
        tied, other = torch.ones(4, device=device), torch.ones(4, device=device)
        moved = symmetry.random(2).apply({"in": tied, "out": tied.detach(), "other": other})
        assert moved["in"] is moved["out"]
        assert moved["other"] is not moved["in"]
        assert moved["in"].device.type == device


class Tied(torch.nn.Module):
    """An embedding whose table is the head's, and a buffer."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(5, 4)
        self.head = torch.nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("mean", torch.arange(4.0))


def test_module_in_gives_a_moved_copy_with_its_ties():
    whole = Block((Run(0, (5,), (1,)), Run(0, (4,), (1,))), (Move("d", (1,)),))
    symmetry = Symmetry(
        (Group("d", 4),),
        (),
        {
            "embed.weight": (whole,),
            "head.weight": (whole,),
            "mean": (Block((Run(0, (4,), (1,)),), (Move("d", (0,)),)),),
        },
        {"embed.weight": (5, 4), "head.weight": (5, 4), "mean": (4,)},
    )
    p = Permutations(symmetry, {"d": [2, 3, 1, 0]})
    model = Tied().eval()
    before = model.embed.weight.detach().clone()
    moved = p.apply(model)
    assert isinstance(moved, Tied)
    assert not moved.training
    assert moved.head.weight is moved.embed.weight
    assert torch.equal(moved.embed.weight, before[:, [2, 3, 1, 0]])
    assert moved.mean.tolist() == [2, 3, 1, 0]
    assert torch.equal(model.embed.weight, before)
    assert moved.embed.weight.requires_grad


def test_wrong_weights_are_refused():
    p = attention().random(0)
    with pytest.raises(ArchitectureMismatch, match=r"no tensor 'norm'.*whole state dict"):
        p.apply({"qv.weight": torch.zeros(12, 4)})
    with pytest.raises(ArchitectureMismatch, match=r"norm has shape \(5,\), the symmetry expects \(4,\)"):
        p.apply({"qv.weight": torch.zeros(12, 4), "norm": torch.zeros(5)})
    with pytest.raises(ArchitectureMismatch, match=r"shape \(4, 1\)"):
        p.apply({"qv.weight": torch.zeros(12, 4), "norm": torch.zeros(4, 1)})


def test_open_sizes_come_from_the_weights():
    block = Block((Run(0, (UNKNOWN,), (1,)), Run(0, (3,), (1,))), (Move("d", (1,)),))
    symmetry = Symmetry((Group("d", 3),), (), {"embed": (block,)}, {"embed": (UNKNOWN, 3)})
    p = Permutations(symmetry, {"d": [2, 0, 1]})
    for rows in (1, 7):
        weight = torch.rand(rows, 3)
        assert torch.equal(p.apply({"embed": weight})["embed"], weight[:, [2, 0, 1]])
    with pytest.raises(ArchitectureMismatch, match=r"expects \('any', 3\)"):
        p.apply({"embed": torch.zeros(7, 4)})


def test_arrays_must_be_permutations_of_the_groups():
    symmetry = attention()
    with pytest.raises(InputError, match=r"group 'd' is not a permutation of 0\.\.3"):
        Permutations(symmetry, {"d": [0, 0, 1, 2]})
    with pytest.raises(ArchitectureMismatch, match=r"shape \(3,\), expected \(2, 3\)"):
        Permutations(symmetry, {"k": [0, 1, 2]})
    with pytest.raises(ArchitectureMismatch, match="no group 'e'"):
        Permutations(symmetry, {"e": [0]})
    other = Symmetry((Group("d", 5),), (), {}, {})
    with pytest.raises(ArchitectureMismatch, match="different symmetries"):
        symmetry.identity() @ other.identity()


def test_random_moves_only_the_groups_named():
    symmetry = attention()
    p = symmetry.random(5, groups=("k",))
    assert not p.is_identity
    assert [g for g, a in p.arrays.items() if not (a == np.arange(a.shape[-1])).all()] == ["k"]
    assert np.array_equal(p.arrays["k"], symmetry.random(5).arrays["k"])
    with pytest.raises(InputError, match="no group 'q'; the groups are h, k, d"):
        symmetry.random(0, groups=("q",))


def test_arrays_cannot_be_changed_or_hashed():
    p = attention().random(0)
    with pytest.raises(ValueError, match="read-only"):
        p.arrays["d"][0] = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(p)
    assert p != "p"


def test_load_says_what_is_wrong(tmp_path):
    path = tmp_path / "p.safetensors"
    with pytest.raises(InputError, match="no permutations file at"):
        Permutations.load(path)
    path.write_bytes(b"garbage" * 9)
    with pytest.raises(InputError, match="not a safetensors file"):
        Permutations.load(path)
    attention().random(0).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 8])
    with pytest.raises(InputError, match="not a safetensors file"):
        Permutations.load(path)
    save_file({"d": np.arange(4)}, path)
    with pytest.raises(InputError, match="holds no permutations"):
        Permutations.load(path)
    path.write_bytes(whole)
    arrays, form = load_file(path), "graphmerge.permutations.1"
    for symmetry in ("{", "{}", "[]", json.dumps({"groups": [1]})):
        save_file(arrays, path, metadata={"format": form, "symmetry": symmetry})
        with pytest.raises(InputError, match="damaged"):
            Permutations.load(path)
