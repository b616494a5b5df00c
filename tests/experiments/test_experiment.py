"""The notation of experiments: how fragments are laid over each other, and where mistakes are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.experiment import read_experiment
from graphmerge.errors import RecipeError

GOOD = """\
experiment: 1
title: Parts
about: Figure 3
common:
  seed: 3
  match: {method: activations, sweeps: 5}
  evaluation: {source: validation.npy, batches: 2}
sets:
  small:
    models: [a/one, a/two, a/three]
    shape: {class: GPT2LMHeadModel, n_layer: 1}
    calibration: {source: calibration.npy, batches: 4}
    evaluation: {batches: 6}
variants:
  feed-forward: {groups: ffn}
  weights: {match: {method: weights}, calibration: {batches: 1}}
"""


def read(tmp_path: Path, text: str):
    path = tmp_path / "parts.yaml"
    path.write_text(text)
    return read_experiment(path)


def test_variants_lie_over_sets_and_sets_over_what_is_common(tmp_path: Path) -> None:
    plan = read(tmp_path, GOOD)
    assert (plan.name, plan.folder, plan.title, plan.about) == ("parts", tmp_path, "Parts", "Figure 3")
    (own,) = plan.sets
    assert own.models == ("a/one", "a/two", "a/three")
    assert own.shape == {"class": "GPT2LMHeadModel", "n_layer": 1}
    first, second = own.recipes.values()
    assert list(own.recipes) == ["feed-forward", "weights"]
    assert (first.groups, first.match.method, first.match.sweeps, first.seed) == (["ffn"], "activations", 5, 3)
    assert (second.groups, second.match.method, second.match.sweeps) == (None, "weights", 5)
    assert first.models == ["a/one", "a/two"]
    assert first.evaluation is not None
    assert second.calibration is not None
    assert (first.evaluation.source, first.evaluation.batches, first.evaluation.points) == ("validation.npy", 6, 21)
    assert (second.calibration.source, second.calibration.batches) == ("calibration.npy", 1)


MISTAKES = [
    ("title: Parts\n", "", "1:1: an experiment needs 'title': What is compared, in a line"),
    ("experiment: 1", "experiment: 2", "1:13: this is version 2 of the notation; 1 is the only one"),
    ("seed: 3", "sede: 3", "5:3: unknown key 'sede'; did you mean 'seed'?"),
    ("seed: 3", "output: here", "5:3: unknown key 'output'; there are groups,"),
    ("method: activations", "method: activation", "6:19: 'match.method' is 'activation', which is unknown"),
    ("{groups: ffn}", "{group: ffn}", "15:18: unknown key 'group'; did you mean 'groups'?"),
    ("{groups: ffn}", "{seed: 4}", "15:18: unknown key 'seed'; there are groups, calibration, match"),
    ("{groups: ffn}", "{match: {sweeps: 0}}", "15:34: 'match.sweeps' must be 1 or more, not 0"),
    ("{method: weights}", "{similarty: covariance}", "16:21: unknown key 'similarty'; did you mean 'similarity'?"),
    ("batches: 6", "batches: 6, pionts: 3", "13:30: unknown key 'pionts'; did you mean 'points'?"),
    ("[a/one, a/two, a/three]", "[a/one]", "10:13: the set 'small' needs 'models': a list of two or more"),
    ("a/two", "b/one", "10:13: the last parts of the models' names must differ"),
    ("small:", "Small Ones:", "9:3: the name of a set becomes a file's: a-z, 0-9 and -, not 'Small Ones'"),
    ("feed-forward:", "vanilla:", "15:3: 'vanilla' is measured beside every variant; remove it"),
    ("  weights:", "  feed-forward:", "16:3: 'feed-forward' stands here for the second time (first in line 15)"),
    ("{class: GPT2LMHeadModel, n_layer: 1}", "{n_layer: 1}", "11:12: 'shape' is a mapping with 'class'"),
    ("n_layer: 1}", "n_layer: 1}\n    heat: {ffn: layers.0.ffn}", "12:12: there is no variant 'ffn'"),
    ("    calibration: {source: calibration.npy, batches: 4}\n", "", "15:52: 'calibration' needs one of"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[m[2][:50] for m in MISTAKES])
def test_mistakes_are_reported_where_they_stand(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(RecipeError) as error:
        read(tmp_path, GOOD.replace(old, new, 1))
    found = str(error.value).replace(f"{tmp_path / 'parts.yaml'}:", "")
    assert message in found


def test_what_is_wrong_for_all_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        read(tmp_path, GOOD.replace("sweeps: 5", "sweeps: none"))
    assert str(error.value).count("match.sweeps") == 1


def test_a_set_needs_data_to_measure_on(tmp_path: Path) -> None:
    text = GOOD.replace("  evaluation: {source: validation.npy, batches: 2}\n", "")
    with pytest.raises(RecipeError, match="8:3: the set 'small' needs 'evaluation'"):
        read(tmp_path, text.replace("    evaluation: {batches: 6}\n", ""))


def test_files_that_are_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read the experiment .*none\.yaml"):
        read_experiment(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="an experiment starts with 'experiment: 1'"):
        read(tmp_path, "")
