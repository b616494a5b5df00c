"""What docs/matching.md shows is what the program does."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch

import graphmerge as gm
from graphmerge.match import MatchOptions
from graphmerge.match.options import Similarity
from graphmerge.recipe import parse_recipe, run_recipe
from graphmerge.recipe.schema import Matching
from tests.checkpoint.tiny import bert, saved
from tests.cli.test_commands import run
from tests.cli.test_match_options import save_special_tokenizer

PAGE = (Path(__file__).parents[2] / "docs" / "matching.md").read_text(encoding="utf-8")
PYTHON, YAML = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("python", "yaml"))
LINES = PAGE.replace("\\\n", "").splitlines()
COMMANDS = [shlex.split(line)[1:] for line in LINES if line.startswith("    graphmerge ")]
ROWS = {
    cells[0].strip("`"): cells
    for line in PAGE.splitlines()
    if line.startswith("| `") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two models, A and B, with tokenizers, and a text."""
    monkeypatch.chdir(tmp_path)
    for seed, name in ((1, "A"), (2, "B")):
        model = bert(seed, max_position_embeddings=64)
        for parameter in model.parameters():
            parameter.data = 0.3 * torch.randn_like(parameter)
        save_special_tokenizer(saved(model, tmp_path / name))
    (tmp_path / "text.txt").write_text(" ".join(f"w{n * n % 24}" for n in range(3000)))
    return tmp_path


def test_every_block_is_run():
    assert (len(PYTHON), len(YAML), len(COMMANDS)) == (3, 2, 2)
    assert PAGE.count("```") == 2 * (len(PYTHON) + len(YAML))


def test_the_lines_of_python_run(home):
    a, b = (gm.checkpoint.load_model(name).model for name in ("A", "B"))
    ids = [torch.randint(5, 29, (4, 9)) for _ in range(3)]
    named: dict[str, Any] = {"gm": gm, "a": a, "b": b, "data": [{"input_ids": i, "labels": i} for i in ids]}
    for block in PYTHON:
        exec(block, named)
    key = "cls.predictions.transform.dense.weight"
    assert torch.equal(named["first"].state_dict()[key], a.state_dict()[key])
    assert not torch.equal(named["second"].state_dict()[key], a.state_dict()[key])


def test_the_commands_run(home, capsys):
    for command in COMMANDS:
        code, _, err = run(capsys, *command)
        assert code == 0, err
    assert (home / "p.safetensors").is_file()
    assert (home / "second" / "model.safetensors").is_file()


def test_the_recipes_are_carried_out(home):
    first, second = map(parse_recipe, YAML)
    assert first.match.options == MatchOptions(level="mean", head_features="value", special_tokens=False)
    assert second.merge.keep == ["cls.predictions.transform.*"]
    for k, text in enumerate(YAML):
        (home / "recipe.yaml").write_text(text)
        report = run_recipe("recipe.yaml", output=f"out{k}")
        assert len(report.with_kept) == 2 * k


def test_every_option_has_its_row():
    fields = {field.name: field for field in dataclasses.fields(MatchOptions)}
    assert ROWS.keys() - {"option"} == {"groups", "similarity", *fields}
    kinds = get_type_hints(MatchOptions) | {"similarity": Similarity}
    for name, cells in ROWS.items():
        assert cells[1].split(",")[0].strip("`") == f"--{name.replace('_', '-')}"
        if get_origin(kinds.get(name)) is Literal:
            words = get_args(kinds[name])
            assert cells[2] == ", ".join(f"`{word}`" for word in words)
            assert words[0] == Matching.model_fields[name].default
        elif name in fields and isinstance(fields[name].default, bool):
            assert cells[2] == f"`{fields[name].default}`, `{not fields[name].default}`"
    assert all("**not function-preserving**" in ROWS[name][3] for name in ("residual_features", "heads"))
