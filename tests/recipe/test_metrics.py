"""Metrics that a recipe asks for stand in its report, for every model and on the line."""

import json

import pytest

from graphmerge.errors import RecipeError
from graphmerge.recipe import parse_recipe, run_recipe
from tests.recipe.home import DATA, furnish, write


def test_metrics_are_measured_and_reported(tmp_path):
    furnish(tmp_path)
    asked = {"metrics": "perplexity, accuracy", "draw": "blocks", "points": 3}
    report = run_recipe(write(tmp_path, evaluation=DATA | asked))
    assert [list(row) for row in report.metrics] == [["accuracy", "perplexity"]] * 3
    assert report.curve is not None
    assert report.curve.metrics["accuracy"][0] == report.metrics[0]["accuracy"]
    assert report.curve.vanilla_metrics["accuracy"][2] == report.metrics[1]["accuracy"]
    assert json.loads((tmp_path / "out" / "graphmerge-report.json").read_text())["metrics"][2] == report.metrics[2]
    text = (tmp_path / "out" / "graphmerge-report.txt").read_text()
    assert f"{report.metrics[2]['perplexity']:.3f}" in text
    assert "draw: blocks" in (tmp_path / "out" / "graphmerge-recipe.yaml").read_text()


def test_an_unknown_metric_is_said_where_it_stands():
    text = "recipe: 1\nmodels: [a, b]\noutput: out\nevaluation:\n  source: x.txt\n  metrics: [acuracy]\n"
    with pytest.raises(RecipeError, match=r"6:12.*cannot be measured: there is no metric 'acuracy'; did you"):
        parse_recipe(text)
