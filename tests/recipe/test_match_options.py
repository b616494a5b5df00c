"""The options of matching in a recipe: carried out as Python does, checked before any work, and labelled."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
import yaml

import graphmerge as gm
from graphmerge.checkpoint import load_model
from graphmerge.data import Sampling, load_data
from graphmerge.errors import RecipeError
from graphmerge.match import MatchOptions
from graphmerge.recipe import make_plan, read_recipe, run_recipe, work_folder
from graphmerge.recipe.estimate import estimate
from tests.checkpoint.tiny import bert, saved
from tests.cli.test_match_options import save_special_tokenizer
from tests.recipe.home import DATA, write


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
    yield house
    for path in (house / "out", work_folder(house / "out")):
        subprocess.run(["rm", "-rf", path], check=True)


def matched(home, matching, **keys):
    keys = {"groups": "*", "calibration": DATA} | keys
    return write(home, match={"method": "activations"} | matching, **keys)


@pytest.mark.parametrize(
    ("matching", "options"),
    [
        ({"level": "mean", "absolute": True}, {"level": "mean", "absolute": True}),
        ({"special_tokens": False}, {"special_tokens": False, "special_ids": (1, 2, 3)}),
        ({"head_features": "query_key", "share": 0.5}, {"head_features": "query_key", "share": 0.5}),
        ({"residual_features": "first", "heads": "in_place"}, {"residual_features": "first", "heads": "in_place"}),
        ({"heads": "ignored", "allow_unsound": True}, {"heads": "ignored", "allow_unsound": True}),
    ],
    ids=str,
)
def test_a_recipe_matches_as_python_does(home, matching, options):
    run_recipe(matched(home, matching))
    a, b = load_model("a"), load_model("b")
    data = load_data("ids.npy", a, Sampling(2, 3, 9, 0))
    symmetry = gm.trace(a.model).symmetry()
    expected = gm.match(a.model, b.model, symmetry, "activations", data, groups="*", options=MatchOptions(**options))
    assert gm.Permutations.load(home / "out" / "permutations.safetensors") == expected.permutations
    resolved = yaml.safe_load((home / "out" / "graphmerge-recipe.yaml").read_text())["match"]
    made_of = json.loads((home / "out" / "graphmerge.json").read_text())["options"]["match"]
    for name, value in options.items():
        assert resolved[name] == made_of[name] == (list(value) if isinstance(value, tuple) else value)


def test_what_changes_the_function_is_labelled(home):
    report = run_recipe(matched(home, {"residual_features": "separate", "allow_unsound": True}, evaluation=dict(DATA)))
    label = "not function-preserving: residual is untied: a permutation of its own at each of"
    assert label in report.notes[0][0]
    assert label in (home / "out" / "graphmerge-report.txt").read_text()
    assert label in json.loads((home / "out" / "graphmerge-report.json").read_text())["notes"][0][0]
    assert json.loads((home / "out" / "graphmerge.json").read_text())["unsound"]


@pytest.mark.parametrize(
    ("matching", "keys", "message"),
    [
        ({"residual_features": "last"}, {"groups": "ffn"}, "residual_features: last needs a residual that takes part"),
        ({"head_features": "value"}, {"groups": "ffn"}, "head_features: value needs heads that take part; there are"),
        ({"heads": "in_place"}, {"groups": "ffn"}, "heads: in_place needs heads that take part; there are"),
    ],
)
def test_options_about_groups_that_do_not_take_part(home, matching, keys, message):
    path = matched(home, matching, **keys)
    with pytest.raises(RecipeError) as error:
        make_plan(read_recipe(path), home)
    assert message in str(error.value)


def test_special_tokens_without_a_tokenizer(home):
    saved(bert(3), home / "bare")
    path = matched(
        home, {"special_tokens": False}, models=["bare", "bare"], calibration=DATA | {"source": "own.py:ids"}
    )
    (home / "own.py").write_text("import torch\ndef ids(): return [{'input_ids': torch.zeros(2, 5, dtype=int)}]\n")
    with pytest.raises(RecipeError, match=r"recipe\.yaml:\d+:\d+: .*bare has no tokenizer to know special tokens by"):
        make_plan(read_recipe(path), home)


def test_the_plan_says_what_share_is_read(home):
    whole, part = (estimate(make_plan(read_recipe(matched(home, {"share": share})), home))[1] for share in (1, 0.25))
    assert "2 × a share of 0.25 of 2 batches of activations" in part.what
    assert "share" not in whole.what
    assert part.operations == whole.operations // 4
