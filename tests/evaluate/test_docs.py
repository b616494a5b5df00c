"""What docs/evaluation.md shows is run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import graphmerge as gm
from graphmerge.evaluate import METRICS
from graphmerge.recipe.schema import Evaluation
from tests.checkpoint.tiny import gpt2, saved
from tests.cli.test_commands import SMALL, run

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("ids.npy", np.random.default_rng(0).integers(0, 29, 300))
    for seed, name in enumerate(("MODEL", "A", "B", "C")):
        saved(gpt2(seed), tmp_path / name)
    return tmp_path


def test_the_lines_of_python_run(here):
    ids = [{"input_ids": torch.randint(29, (3, 8), generator=torch.Generator().manual_seed(s))} for s in (0, 1)]
    names = {"gm": gm, "batches": ids, "other_batches": ids[:1], "model": gpt2()}
    names |= {name: gpt2(seed) for seed, name in enumerate("abc")}
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, names)
    assert names["result"]["all"].pairs == (("one", "two"), ("one", "three"), ("two", "three"))
    assert len((here / "results.jsonl").read_text().splitlines()) == 1 + 3 * 3
    assert (here / "sweep.png").exists()


def test_the_commands_run(here, capsys):
    commands = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("    graphmerge ")]
    assert [command[1] for command in commands] == ["eval", "barrier", "sweep"]
    said = []
    for _, *command in commands:
        code, out, err = run(capsys, *command, *SMALL)
        assert code == 0, err
        said.append(out)
    assert re.search(r"perplexity \d+\.\d{4}\naccuracy 0\.\d{4}", said[0])
    assert re.search(r"perplexity +\d+", said[1])
    rows = [re.split(r" {2,}", line.strip()) for line in said[2].splitlines() if re.search(r"vanilla|weights|ff", line)]
    assert [row[:2] for row in rows] == [["vanilla", "3"], ["weights", "3"], ["ff", "3"]]
    assert all("±" in row[2] for row in rows)
    found = gm.Sweep.read("results.jsonl")
    assert found.matches["ff", ("A", "B")]["groups"] == ["layers.0.ffn", "layers.1.ffn"]


def test_wrong_matchings_and_draws(here, capsys):
    sweep = ("sweep", "A", "B", "--data", "ids.npy", *SMALL, "--points", "3")
    for options, message in (
        (("--match", "magic"), "--match takes weights, activations, identity, or a name with options"),
        (("--match", "{"), "--match takes"),
        (("--match", "weights", "--match", "weights"), "gives 'weights' twice"),
        (("--match", "x: {metod: weights}"), "unknown options metod"),
        (("--draw", "rows"), "--draw takes windows or blocks, not 'rows'"),
        (("--metrics", "acuracy"), "did you mean 'accuracy'"),
    ):
        code, _, err = run(capsys, *sweep, *options)
        assert code == 1
        assert message in " ".join(err.split())


def test_the_table_has_every_metric_and_the_recipe_is_one():
    table = PAGE[PAGE.index("| name |") : PAGE.index("`glue:cola`")]
    assert set(re.findall(r"`(\w+)`", table)) == set(METRICS)
    (keys,) = re.findall(r"`evaluation: (\{.*?\})`", PAGE)
    found = Evaluation.model_validate(yaml.safe_load(keys))
    assert (found.metrics, found.draw, found.length) == (["perplexity"], "blocks", 128)
