"""The page of results, made of a small results file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.heat import Heat
from experiments.report import filled, measured, write_report
from experiments.trained import note_training, trained_models
from graphmerge.demo.data import TRAINING_FILE
from graphmerge.errors import InputError
from graphmerge.evaluate import Curve
from graphmerge.sweep.journal import FORMAT

EXPERIMENT = """\
experiment: 1
title: Which parts move
about: Figure 3
common: {evaluation: {source: v.npy}, calibration: {source: c.npy}}
sets:
  small: {models: [one, two, three], heat: {all: ffn}}
  unmeasured: {models: [four, five]}
variants:
  all: {match: {method: activations}}
"""
# barriers of the vanilla curves 2, 3, 4; of the matched ones 1, 1, 4
LOSSES = {"vanilla": (3.0, 4.0, 5.0), "all": (2.0, 2.0, 5.0)}
PAIRS = (("one", "two"), ("one", "three"), ("two", "three"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "small-parts.yaml").write_text(EXPERIMENT)
    results = tmp_path / "results"
    results.mkdir()
    lines = [{"format": FORMAT, "matchings": {"all": {}}}]
    for matching, middles in LOSSES.items():
        for pair, middle in zip(PAIRS, middles):
            curve = Curve((0.0, 0.5, 1.0), (1.0, middle, 1.0), None, positions=10, seconds=0.1)
            line = {"pair": pair, "matching": matching, "seconds": 1.0, "curve": json.loads(curve.to_json())}
            lines.append(line | ({"match": {"seconds": 0.5}} if matching == "all" else {}))
    (results / "small-parts-small.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    np.savez(
        results / "small-parts-small.all.npz",
        hundredths=np.array([[0, 90, 0], [80, 0, 0], [0, 10, 70]], dtype=np.int8),
        order=np.array([1, 0, 2], dtype=np.int16),
    )
    model = tmp_path / "one"
    model.mkdir()
    trained = {"validation_loss": 1.25, "unigram_entropy": 5.0, "steps": 4000, "accuracy": 0.5, "chance": 0.1}
    (model / TRAINING_FILE).write_text(json.dumps(trained))
    note_training([model, tmp_path / "two"], results)
    return tmp_path


def page(home: Path) -> str:
    write_report(home / "docs.md", home, home / "results")
    return (home / "docs.md").read_text()


def test_tables_hold_means_and_standard_errors(home: Path) -> None:
    text = page(home)
    assert "| vanilla | 3.000 ± 0.577 | – | 4.000 | – |" in text  # the standard deviation is 1, over √3
    assert "| all | 2.000 ± 1.000 | 33.3 % | 3.000 | 500 ms |" in text
    assert "### small: 3 models, 3 pairs" in text
    assert "unmeasured" not in text
    assert "| one | 1.250 | 5.000 | 50.0 % | 10.0 % | 4,000 |" in text


def test_figures_lie_beside_the_page(home: Path) -> None:
    text = page(home)
    names = {path.name for path in (home / "docs").iterdir()}
    assert names == {"small-parts-small.png", "small-parts-small.all.png"}
    assert all(f"](docs/{name})" in text for name in names)


def test_correlations_after_are_those_of_the_moved_columns(home: Path) -> None:
    heat = Heat.read(home / "results" / "small-parts-small.all.npz")
    assert heat.after.diagonal() == pytest.approx([0.9, 0.8, 0.7])
    assert "the mean on the diagonal is 0.233 before and 0.800 after" in page(home)


def test_what_was_found_takes_its_figures_from_the_results(home: Path) -> None:
    (home / "results" / "small-parts.md").write_text("From {small: vanilla} to {small: all}.\n")
    assert "From 3.000 ± 0.577 to 2.000 ± 1.000." in page(home)
    (one,) = measured(home, home / "results")
    for wrong in ("{small: none}", "{unmeasured: all}"):
        with pytest.raises(InputError, match="there is no result of"):
            filled(wrong, one)


def test_the_same_results_make_the_same_page(home: Path) -> None:
    first = page(home), {path.name: path.read_bytes() for path in (home / "docs").iterdir()}
    assert (page(home), {path.name: path.read_bytes() for path in (home / "docs").iterdir()}) == first


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no results of .*small-\*\.yaml"):
        write_report(tmp_path / "docs.md", tmp_path, tmp_path)


def test_what_is_known_of_models_is_kept(home: Path) -> None:
    note_training([home / "two"], home / "results")  # which says nothing
    assert list(trained_models(home / "results")) == ["one"]


def test_what_changes_the_function_is_marked(home: Path) -> None:
    file = home / "results" / "small-parts-small.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines[1:]:
        if line["matching"] == "all":
            curve = Curve((0.0, 0.5, 1.0), (1.0, 2.0, 9.0), None, 10, 0.1, unsound=("heads ignored",))
            line["curve"] = json.loads(curve.to_json())
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = page(home)
    assert "| all † | 8.000 ± 0.000 |" in text
    assert "† changes the function: B as moved by 'all' has a mean loss of 9.000, B itself of 1.000." in text
