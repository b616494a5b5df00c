"""The options of matching on the command line: the names of Python, and the label of what changes the function."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

import graphmerge as gm
from graphmerge.checkpoint import load_model
from graphmerge.data import Sampling, load_data, special_ids
from graphmerge.errors import InputError
from graphmerge.match import MatchOptions
from graphmerge.recipe.schema import Matching
from tests.checkpoint.tiny import bert, save_tokenizer, saved
from tests.cli.test_commands import run

WORDS = [f"w{i}" for i in range(28)]
DRAWN = ("--data", "ids.npy", "--batches", "2", "--size", "3", "--length", "9")


def save_special_tokenizer(directory) -> None:
    """Ids 1 to 4 are [CLS], [SEP], [PAD] and [MASK]."""
    from transformers import AutoTokenizer

    save_tokenizer(directory, ["[CLS]", "[SEP]", "[PAD]", "[MASK]", *WORDS[:24]])
    tokenizer = AutoTokenizer.from_pretrained(directory)
    named = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    tokenizer.add_special_tokens(named)
    tokenizer.save_pretrained(directory)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    for seed, name in ((1, "a"), (2, "b")):
        save_special_tokenizer(saved(bert(seed), folder / name))
    np.save(folder / "ids.npy", np.random.default_rng(0).integers(0, 29, 500))
    return folder


@pytest.fixture
def home(house, monkeypatch):
    monkeypatch.chdir(house)
    return house


def test_the_names_are_those_of_python(home, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    fields = {field.name: field for field in dataclasses.fields(MatchOptions)}
    for command in ("match", "merge"):
        code, out, _ = run(capsys, command, "--help")
        assert code == 0
        assert all(f"--{name.replace('_', '-')}" in out for name in fields)
    for name, field in fields.items():
        default = Matching.model_fields[name].default
        assert (tuple(default) if isinstance(default, list) else default) == field.default
    assert Matching().options == MatchOptions()


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (("--absolute", "--level", "max"), {"absolute": True, "level": "max"}),
        (("--residual-features", "last"), {"residual_features": "last"}),
        (("--head-features", "value", "--share", "0.5"), {"head_features": "value", "share": 0.5}),
        (("--heads", "in_place"), {"heads": "in_place"}),
        (("--no-special-tokens",), {"special_tokens": False, "special_ids": (1, 2, 3)}),
        (("--no-special-tokens", "--special-ids", "7,8"), {"special_tokens": False, "special_ids": (7, 8)}),
        (("--heads", "ignored", "--allow-unsound"), {"heads": "ignored", "allow_unsound": True}),
    ],
)
def test_what_is_asked_for_is_what_python_does(home, capsys, tmp_path, flags, options):
    target = tmp_path / "p.safetensors"
    code, out, err = run(
        capsys, "match", "a", "b", "-o", target, "--method", "activations", "--groups", "*", *DRAWN, *flags, "--json"
    )
    assert code == 0, err
    a, b = load_model("a"), load_model("b")
    data = load_data("ids.npy", a, Sampling(2, 3, 9, 0))
    symmetry = gm.trace(a.model).symmetry()
    expected = gm.match(a.model, b.model, symmetry, "activations", data, groups="*", options=MatchOptions(**options))
    found = gm.Permutations.load(target)
    assert found == expected.permutations
    assert json.loads(out)["options"] == json.loads(expected.to_json())["options"]


def test_special_ids_are_those_of_the_tokenizer_but_for_what_stands_for_words(home, tmp_path):
    assert special_ids(load_model("a")) == (1, 2, 3)
    bare = load_model(saved(bert(1), tmp_path / "bare"))
    with pytest.raises(InputError, match="has no tokenizer to know special tokens by; name their ids"):
        special_ids(bare)
    assert special_ids(bare, home / "a") == (1, 2, 3)
    save_tokenizer(tmp_path / "bare", WORDS)
    with pytest.raises(InputError, match="has no special tokens; name their ids"):
        special_ids(load_model(tmp_path / "bare"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("match a b -o p --level max", "level is about activations, and matching by weights reads none"),
        ("match a b -o p --method activations --heads ignored --data ids.npy", "allow_unsound: true"),
        ("match a b -o p --method activations --data ids.npy --share 2", "share is 2.0; it lies between 0.001 and 1"),
        ("match a b -o p --no-special-tokens --special-ids x --data ids.npy", "special_ids 'x' are no ids"),
        ("merge a b -o new --method identity --heads in_place", "matching by identity moves no heads"),
        ("merge a b -o new --permutations p --absolute", "options of matching, and --permutations are matched already"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_done(home, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr("graphmerge.cli.align.load_two", lambda *_: pytest.fail("models were read"))
    code, _, err = run(capsys, *arguments.split())
    assert code == 1
    assert message in err


def test_a_wrong_word_is_answered_with_those_that_exist(home, capsys):
    code, _, err = run(capsys, "match", "a", "b", "-o", "p", "--level", "tokens")
    assert code == 2
    assert all(word in err for word in ("'token'", "'cls'", "'max'", "'mean'"))


def test_what_changes_the_function_says_so_everywhere(home, capsys, tmp_path):
    """On standard error, in the files of a merge and of an applied element, and beside a barrier."""
    target, label = tmp_path / "p.safetensors", "residual is untied: a permutation of its own at each of"
    flags = ("--residual-features", "separate", "--allow-unsound", "--groups", "residual", "--method", "activations")
    code, _, err = run(capsys, "match", "a", "b", "-o", target, *DRAWN, *flags)
    assert code == 0
    assert f"not function-preserving: {label}" in err
    for arguments in (
        ("apply", "b", target, "-o", tmp_path / "applied"),
        ("merge", "a", "b", "--permutations", target, "-o", tmp_path / "merged"),
        ("merge", "a", "b", *DRAWN, *flags, "-o", tmp_path / "matched"),
    ):
        code, _, err = run(capsys, *arguments)
        assert code == 0, err
        assert "not function-preserving" in err or "does not preserve the function" in err
        made_of = json.loads((arguments[-1] / "graphmerge.json").read_text())
        assert label in made_of["unsound"][0]
    assert made_of["options"]["residual_features"] == "separate"
    again = gm.Permutations.load(tmp_path / "matched" / "permutations.safetensors")
    assert label in again.symmetry.unsound[0]
    code, out, err = run(capsys, "barrier", "a", "b", "--permutations", target, *DRAWN, "--points", "3")
    assert code == 0, err
    assert "p (not function-preserving)" in out
    assert "does not preserve the function" in err
    moved, before = (load_model(tmp_path / name if name == "applied" else name).model for name in ("applied", "b"))
    ids = torch.randint(5, 29, (2, 7))
    assert not torch.allclose(moved(ids).logits, before(ids).logits, atol=1e-3)


def test_without_such_options_nothing_is_labelled(home, capsys, tmp_path):
    assert run(capsys, "merge", "a", "b", "--method", "weights", "-o", tmp_path / "plain")[0] == 0
    assert "unsound" not in json.loads((tmp_path / "plain" / "graphmerge.json").read_text())
