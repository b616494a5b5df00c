"""The experiments that come with the project: every file is whole, and its dry run needs no network."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from experiments import run
from experiments.check import check
from experiments.experiment import read_experiment
from graphmerge.errors import RecipeError
from tests.experiments.test_experiment import GOOD

FOLDER = Path(run.__file__).parent
FILES = sorted(FOLDER.glob("*.yaml"))
PAPER = {"components", "heads", "residual", "similarity", "data-share", "glue"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a dry run wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_dry_run(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([str(file), "--dry-run"]) == 0
    said = capsys.readouterr().out
    plan = read_experiment(file)
    assert said.startswith(f"{file.stem}: {plan.title}")
    assert "groups not known here" not in said
    assert all(f"  {own.name}: {len(own.models)} models" in said for own in plan.sets)


def test_every_experiment_of_the_paper_is_there_in_both_sizes() -> None:
    names = {file.stem for file in FILES}
    assert {f"paper-{name}" for name in PAPER} <= names
    assert {f"small-{name}" for name in PAPER - {"glue"}} <= names
    multiberts = tuple(f"google/multiberts-seed_{n}" for n in range(1, 6))
    for name in PAPER - {"glue"}:
        assert [own.models for own in read_experiment(FOLDER / f"paper-{name}.yaml").sets] == [multiberts]


def test_small_models_are_of_four_architectures_and_three_seeds() -> None:
    sets = {own.name: own for own in read_experiment(FOLDER / "small-components.yaml").sets}
    assert set(sets) == {"bert", "gpt2", "llama", "vit"}
    assert all(len(own.models) >= 3 for own in sets.values())


def written(folder: Path, text: str) -> Path:
    path = folder / "parts.yaml"
    path.write_text(text)
    (folder / "validation.npy").touch()
    (folder / "calibration.npy").touch()
    return path


def test_the_plan_knows_groups_by_the_shape_alone(tmp_path: Path) -> None:
    (own,) = check(read_experiment(written(tmp_path, GOOD)))
    assert (own.pairs, own.points, own.curves) == (3, 21, 9)
    first, second = own.variants
    assert (first.moves, first.chosen) == ({"ffn": 1}, False)
    assert second.chosen
    assert second.moves is not None
    assert set(second.moves) == {"residual", "ffn", "heads", "qk", "v"}
    assert own.notes[0] == "not on this machine: a/one, a/two, a/three"


def test_options_that_change_the_function_are_told(tmp_path: Path) -> None:
    given = "{groups: '*', match: {heads: ignored, allow_unsound: true}}"
    path = written(tmp_path, GOOD.replace("{groups: ffn}", given))
    assert check(read_experiment(path))[0].variants[0].unsound == ("heads: ignored",)
    assert "heads: ignored, which changes the function" in run.dry_run(
        read_experiment(path), check(read_experiment(path))
    )


def test_nothing_is_known_without_models_and_shape(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("    shape: {class: GPT2LMHeadModel, n_layer: 1}\n", ""))
    plan = read_experiment(path)
    (own,) = check(plan)
    assert [variant.moves for variant in own.variants] == [None, None]
    assert "groups not known here" in run.dry_run(plan, (own,))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("groups: ffn", "groups: fnn", "'feed-forward': no group is called 'fnn'"),
        ("class: GPT2LMHeadModel", "class: GPT9", "transformers has no model class 'GPT9'"),
        ("n_layer: 1", "n_layer: 1, n_head: 7", "the shape of a GPT2LMHeadModel cannot be built"),
        ("source: calibration.npy", "source: none.npy", "there is no none.npy beside the file"),
        ("source: calibration.npy", "source: 'none.py:f'", "there is no file"),
    ],
)
def test_what_is_not_there_is_an_error(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        check(read_experiment(written(tmp_path, GOOD.replace(old, new))))
    assert message in str(error.value)


def test_mistakes_are_printed_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([str(written(tmp_path, GOOD.replace("seed: 3", "sede: 3"))), "--dry-run"]) == 1
    assert "unknown key 'sede'" in capsys.readouterr().err
