"""Curves that are known in closed form, and what happens to a sweep that is killed, continued, or given other input."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

import graphmerge as gm
from graphmerge.sweep import Step
from graphmerge.sweep.digests import function_digest
from tests.checkpoint.tiny import gpt2, save_tokenizer, saved
from tests.merge.tiny import Mlp
from tests.sweep import rings
from tests.sweep.rings import DATA, RINGS, Ring, sweep

PAIRS = (("a", "b"), ("a", "c"), ("b", "c"))
QUARTER = tuple(4 * lam**2 * (1 - lam) ** 2 for lam in (0, 0.25, 0.5, 0.75, 1))  # between neighbours on the circle
ACROSS = tuple(((1 - 2 * lam) ** 2 - 1) ** 2 for lam in (0, 0.25, 0.5, 0.75, 1))  # between opposites
FLAT = (0.0,) * 5


def test_every_curve_is_the_one_that_is_known():
    found = sweep()
    by_hand = {
        "vanilla": (QUARTER, QUARTER, ACROSS),
        "weights": (FLAT, QUARTER, QUARTER),  # swaps b onto a, leaves c, swaps c off the other side of b
        "swapped": (FLAT, ACROSS, QUARTER),
    }
    assert list(found.curves) == list(by_hand)
    for name, curves in by_hand.items():
        assert found[name].pairs == PAIRS
        for curve, expected, vanilla in zip(found[name].curves, curves, by_hand["vanilla"]):
            assert curve.losses == pytest.approx(expected, abs=1e-12)
            assert curve.vanilla == pytest.approx(vanilla, abs=1e-12)
            assert curve.positions == 3


def test_means_and_standard_errors_are_over_pairs():
    found = sweep()
    vanilla, swapped = found["vanilla"], found["swapped"]
    assert vanilla.barriers == pytest.approx((0.25, 0.25, 1))
    assert vanilla.barrier == pytest.approx(0.5)
    assert vanilla.barrier_error == pytest.approx(math.sqrt((2 * 0.25**2 + 0.5**2) / 2) / math.sqrt(3))
    assert swapped.barrier == pytest.approx(1.25 / 3)
    assert swapped.vanilla_barrier == vanilla.barrier
    assert swapped.removed == pytest.approx(1 - 1.25 / 1.5)
    assert swapped.mean == pytest.approx([sum(c) / 3 for c in zip(FLAT, ACROSS, QUARTER)])
    assert swapped.standard_error is not None
    assert swapped.standard_error[2] == pytest.approx(torch.tensor([0, 1, 0.25]).std().item() / math.sqrt(3))
    one = sweep(pairs=[("b", "a")])["swapped"]
    assert (one.pairs, one.barrier_error, one.standard_error) == ((("b", "a"),), None, None)


def test_the_packaged_way_from_models_to_curves():
    """Options of `match` as they are, groups derived: the same curves as by hand."""
    models = [gpt2(seed) for seed in (1, 2)]
    batches = [{"input_ids": torch.randint(29, (3, 8), generator=torch.Generator().manual_seed(s))} for s in (0, 1)]
    found = gm.sweep(models, batches, {"ffn": {"groups": "ffn"}}, calibration=batches[:1], points=3)
    symmetry = gm.trace(models[0]).symmetry()
    moves = gm.match(*models, symmetry, data=batches[:1], groups="ffn").permutations
    curve = gm.barrier(*models, batches, moves, points=3)
    assert found["ffn"].pairs == (("1", "2"),)
    assert (found["ffn"].curves[0].losses, found["ffn"].curves[0].vanilla) == (curve.losses, curve.vanilla)
    assert found.matches["ffn", ("1", "2")]["groups"] == ["layers.0.ffn", "layers.1.ffn"]
    assert found["ffn"].unit == "nats per token"


# -- the results file --------------------------------------------------------------------------------------------------


def without_times(path: Path) -> list[object]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[1:]:
        line.pop("seconds")
        line["curve"].pop("seconds")
        line.get("match", {}).pop("seconds", None)
    return lines


def test_a_sweep_that_was_killed_continues_where_it_stopped(tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    sweep(whole)
    command = [sys.executable, "-c", f"from tests.sweep.rings import sweep; sweep({str(killed)!r})"]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, env=os.environ | {"KILL_AT": "37"}, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    assert without_times(killed) == without_times(whole)[:4]  # three of the nine curves, ten calls each
    part = gm.Sweep.read(killed)
    assert (part["vanilla"].pairs, part["weights"].pairs) == (PAIRS[:1], PAIRS[:1])
    monkeypatch.setattr(rings, "CALLS", calls := [])
    found = sweep(killed)
    assert len(calls) == 6 * 10
    assert without_times(killed) == without_times(whole)
    assert found["weights"].mean == sweep()["weights"].mean == gm.Sweep.read(killed)["weights"].mean
    calls.clear()
    assert sweep(killed)["swapped"].barriers == found["swapped"].barriers
    assert not calls


@pytest.mark.parametrize("cut", [1, 30, 400])
def test_a_line_that_was_cut_off_is_measured_again(tmp_path, cut):
    path = tmp_path / "results.jsonl"
    sweep(path)
    expected, whole = without_times(path), path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert len(gm.Sweep.read(path)["swapped"].pairs) == 2
    sweep(path)
    assert without_times(path) == expected


def test_a_first_line_that_was_cut_off_is_begun_again(tmp_path):
    path = tmp_path / "results.jsonl"
    sweep(path)
    first = path.read_bytes().split(b"\n")[0]
    path.write_bytes(first[:50])
    assert len(sweep(path)["swapped"].pairs) == 3


def test_every_line_is_written_as_soon_as_its_curve_is_finished(tmp_path):
    path, seen = tmp_path / "results.jsonl", []
    sweep(path, progress=lambda step: seen.append((step, len(path.read_text().splitlines()) - 1)))
    assert {step.done for step, _ in seen} == set(range(9))
    assert all(lines == step.done for step, lines in seen)


OTHERS = {
    "points": ({"points": 7}, "points is not the same"),
    "data": ({"data": DATA[:1]}, "data is not the same"),
    "weights": (
        {"models": {name: Ring(u, v + 0.1 * (name == "b")) for name, (u, v) in RINGS.items()}},
        r"models\.b is",
    ),
    "order": ({"models": {name: Ring(*RINGS[name]) for name in "bac"}}, "pairs is not"),
    "options": (
        {"matchings": {"weights": rings.WEIGHTS | {"seed": 1}, "swapped": rings.swapped}},
        r"matchings\.weights\.seed is",
    ),
    "more": ({"matchings": {"weights": rings.WEIGHTS}, "seed": 3}, r"matchings\.swapped, seed are not the same"),
    "loss": ({"loss": lambda model, batch: rings.loss(model, batch)}, "loss is not"),
    "symmetry": ({"symmetry": gm.Symmetry((), (), {}, {})}, "symmetry is not"),
    "calibration": ({"calibration": DATA}, "calibration is not"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_sweep_is_refused(tmp_path, name):
    options, message = OTHERS[name]
    path = tmp_path / "results.jsonl"
    sweep(path)
    before = path.read_bytes()
    with pytest.raises(gm.InputError, match=rf"results\.jsonl belongs to another sweep: .*{message}"):
        sweep(path, **options)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["[1]\n", '{"format": "graphmerge.curve.1"}\n', "notes\n", "half a note", "{}\n{\n"])
def test_a_file_that_holds_no_sweep_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(gm.InputError, match=r"notes\.txt.*(holds no results of a sweep|is no results file)"):
        sweep(path)
    assert path.read_text() == text
    with pytest.raises(gm.InputError, match="cannot be written"):
        sweep(tmp_path)
    with pytest.raises(gm.InputError, match="cannot be read"):
        gm.Sweep.read(tmp_path / "none.jsonl")


def test_what_a_function_is_told_by(tmp_path):
    def one(model, batch):
        return 1

    kept = function_digest(one)

    def one(model, batch):
        return 2

    assert kept != function_digest(one)
    assert kept.startswith("tests.sweep.test_sweep.test_what_a_function_is_told_by.<locals>.one ")
    first, second = (function_digest(partial(rings.loss, batch=n)) for n in (1, 2))
    assert first != second
    assert function_digest(Ring(1, 0)) != function_digest(Mlp())


def test_two_sweeps_do_not_write_one_file(tmp_path):
    path = tmp_path / "results.jsonl"

    def second(step: Step) -> None:
        with pytest.raises(gm.InputError, match="being written by another sweep"):
            sweep(path)

    assert len(sweep(path, progress=second)["swapped"].pairs) == 3


# -- progress ----------------------------------------------------------------------------------------------------------


def test_the_time_left_is_told_from_what_similar_curves_took(monkeypatch):
    from graphmerge.sweep import forecast

    now = [0.0]
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])
    works = [(pair, name) for pair in PAIRS for name in ("vanilla", "weights")]
    told = forecast.Forecast(works[1:], [("vanilla", 2.0)])
    told.begin()
    assert told.step(0.0) == Step(1, 6, ("a", "b"), "weights", 0.0, 5 * 2.0)  # nothing like it yet: as all others
    now[0] = 4.0
    assert told.step(0.5).seconds_left == 4 * 2.0  # it takes longer than was thought
    told.finish(10.0)
    told.begin()
    assert told.step(0.0).seconds_left == 2 * 2.0 + 2 * 10.0
    now[0] = 5.0
    assert told.step(0.5).seconds_left == 1.0 + 2.0 + 2 * 10.0
    assert forecast.Forecast(works, []).step(0.0).seconds_left is None


# -- wrong input -------------------------------------------------------------------------------------------------------

WRONG = [
    ({"models": [Ring(1, 0)]}, "two models or more; got 1"),
    ({"models": Ring(1, 0)}, "takes a list of models"),
    ({"pairs": [("a", "z")]}, "no pair of 'a' and 'z'; the models are a, b, c"),
    ({"pairs": [("a", "a")]}, "no pair of 'a' and 'a'"),
    ({"pairs": []}, "at least one"),
    ({"pairs": [("a", "b"), ("a", "b")]}, "once each"),
    ({"matchings": {"vanilla": {}}}, "give this matching another one"),
    ({"matchings": {"x": {"methd": "weights"}}}, "'x' has unknown options methd; there are method, data, groups"),
    ({"matchings": {"x": "weights"}}, "'x' is a str; expected options of match, or a function"),
    ({"matchings": {"x": lambda a, b: None}}, "returned a NoneType; expected Permutations or a Match"),
    ({"matchings": {"x": {"method": "magic"}}}, "method 'magic' is unknown"),
    ({"points": 2}, "three points or more"),
    ({"data": []}, "no batch"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_input(options, message):
    with pytest.raises(gm.InputError, match=message):
        sweep(**options)


def test_an_option_of_which_nothing_stable_can_be_said(tmp_path):
    with pytest.raises(gm.InputError, match=r"x\.seed is a object; a sweep takes text, numbers"):
        sweep(tmp_path / "results.jsonl", matchings={"x": {"seed": object()}})


def test_models_that_do_not_belong_together(tmp_path):
    with pytest.raises(gm.ArchitectureMismatch):
        sweep(models={"a": Ring(1, 0), "b": Mlp()})
    for name, words in (("one", ["x", "y"]), ("two", ["x", "z"])):
        save_tokenizer(saved(gpt2(), tmp_path / name), words)
    folders = [tmp_path / "one", tmp_path / "two"]
    ids = [{"input_ids": torch.tensor([[1, 2, 3]])}]
    with pytest.raises(gm.InputError, match="tokenizer"):
        gm.sweep(folders, ids, points=3)
    found = gm.sweep(folders, ids, points=3, allow_different_tokenizers=True, out=tmp_path / "results.jsonl")
    assert found["vanilla"].pairs == (("one", "two"),)
