"""An experiment on three tiny models, from the file to results and page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from experiments import run
from experiments.experiment import read_experiment
from experiments.heat import Heat
from experiments.report import write_report
from graphmerge.checkpoint import load_model
from graphmerge.graph import trace
from graphmerge.sweep import Sweep

TEXT = """\
experiment: 1
title: Tiny
about: A test
common:
  threads: 1
  device: cpu
  calibration: {source: ids.npy, batches: 2, size: 4, length: 8}
  evaluation: {source: ids.npy, batches: 1, size: 4, length: 8, points: 3}
sets:
  tiny: {models: [one, moved, two], heat: {activations: layers.0.ffn}}
  other: {models: [one, two]}
variants:
  activations: {groups: '*', match: {method: activations}}
  feed-forward by weights: {groups: ffn, calibration: {batches: 1}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``moved`` is ``one`` under a random element of its symmetry."""
    folder = tmp_path_factory.mktemp("tiny")
    np.save(folder / "ids.npy", np.random.default_rng(0).integers(0, 20, 500))
    config = GPT2Config(vocab_size=20, n_positions=16, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
        for p in model.parameters():  # biases and gains of an untrained model are all alike
            torch.nn.init.normal_(p, std=0.3)
        model.save_pretrained(folder / name)
    one = load_model(folder / "one").model
    trace(one).symmetry().random(seed=3).apply(one).save_pretrained(folder / "moved")
    (folder / "small-tiny.yaml").write_text(TEXT)
    return folder


def test_all_pairs_by_all_variants_and_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = home / "results"
    command = [str(home / "small-tiny.yaml"), "--out", str(out), "--set", "tiny"]
    assert run.main(command) == 0
    assert "tiny: 8/9" in capsys.readouterr().err
    file = out / "small-tiny-tiny.jsonl"
    first = file.read_bytes()
    found = Sweep.read(file)
    assert list(found.curves) == ["vanilla", "activations", "feed-forward by weights"]
    assert found["activations"].pairs == (("one", "moved"), ("one", "two"), ("moved", "two"))
    matched, vanilla = (found[name].curves[0].losses for name in ("activations", "vanilla"))
    assert np.ptp(matched) < 1e-5  # one function, moved back
    assert np.ptp(vanilla) > 1e-3
    moved = {g for (name, _), match in found.matches.items() if name != "activations" for g in match["groups"]}
    assert moved == {"layers.0.ffn"}
    assert run.main(command) == 0
    assert file.read_bytes() == first  # nothing was left to do
    assert not (out / "small-tiny-other.jsonl").exists()


def test_correlations_of_the_first_pair_are_kept(home: Path) -> None:
    run.run_experiment(read_experiment(home / "small-tiny.yaml"), home / "results", lambda *_: None, "tiny")
    heat = Heat.read(home / "results" / "small-tiny-tiny.activations.npz")
    assert heat.after.diagonal() == pytest.approx(1, abs=0.01)  # moved is one, moved
    assert heat.before.diagonal().mean() < 0.9
    write_report(home / "docs.md", home, home / "results")
    assert "the mean on the diagonal is" in (home / "docs.md").read_text()


def test_other_options_are_no_continuation(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.run_experiment(read_experiment(home / "small-tiny.yaml"), home / "results", lambda *_: None, "other")
    changed = home / "changed"
    changed.mkdir(exist_ok=True)
    for name in ("one", "two", "ids.npy"):
        (changed / name).symlink_to(home / name)
    (changed / "small-tiny.yaml").write_text(TEXT.replace("groups: ffn", "groups: heads"))
    arguments = [str(changed / "small-tiny.yaml"), "--out", str(home / "results"), "--set", "other"]
    (changed / "moved").symlink_to(home / "moved")
    assert run.main(arguments) == 1
    assert "belongs to another sweep" in capsys.readouterr().err
