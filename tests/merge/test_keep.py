"""Tensors that are kept apart: those of one model, in the order of units that the models are merged in."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import graphmerge as gm
from graphmerge.checkpoint import load_model, load_state, open_weights
from graphmerge.errors import InputError
from graphmerge.evaluate import evaluate
from graphmerge.merge import Part, Shares, kept_keys, merge, write_merged
from graphmerge.recipe import run_recipe
from tests.checkpoint.tiny import bert, gpt2, save_tokenizer, saved
from tests.cli.test_commands import run
from tests.merge.tiny import Mlp, scrambled
from tests.recipe.home import DATA, write

HEAD = "three.*"
BERT_HEAD = "cls.predictions.transform.*"


def test_the_head_of_either_model_on_the_merged_body():
    a, b = Mlp(0), Mlp(1)
    p = scrambled(b, 3)[1]
    whole, of_a, of_b = merge([a, b], p), merge([a, b], p, keep=[HEAD]), merge([a, b], p, keep=HEAD, keep_from=1)
    moved = p.apply(b)
    for key, tensor in whole.state_dict().items():
        first, second = of_a.state_dict()[key], of_b.state_dict()[key]
        if key.startswith("three"):
            assert torch.equal(first, a.state_dict()[key])
            assert torch.equal(second, moved.state_dict()[key])
            assert not torch.equal(tensor, first)
        else:
            assert torch.equal(tensor, first)
            assert torch.equal(tensor, second)
    assert torch.allclose(merge([a, p.inverse().apply(a)], p, keep=HEAD, keep_from=1)(X), a(X), atol=1e-6)


X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))


def test_integers_are_kept_too():
    assert int(merge([Mlp(3), Mlp(4)]).seen) == 3
    assert int(merge([Mlp(3), Mlp(4)], keep=["seen"], keep_from=1).seen) == 4


def test_what_is_tied_is_kept_together():
    a, b = gpt2(0), gpt2(1)
    merged = merge([a, b], keep=["lm_head.weight"], keep_from=1)
    assert torch.equal(merged.transformer.wte.weight, b.transformer.wte.weight)
    assert merged.lm_head.weight is merged.transformer.wte.weight
    assert kept_keys(["x"], 1, {"x": ("x", "y"), "y": ("x", "y"), "z": ("z",)}) == {"x": 1, "y": 1}


def test_dtypes_are_those_of_the_first():
    merged = merge([Mlp(0).half(), Mlp(1)], keep=[HEAD], keep_from=1)
    assert merged.three.weight.dtype == torch.float16
    assert torch.equal(merged.three.weight, Mlp(1).three.weight.half())


@pytest.mark.parametrize("keep_from", [0, 1])
def test_from_files_as_in_memory(tmp_path, keep_from):
    a, b = bert(1), bert(2)
    for parameter in (*a.parameters(), *b.parameters()):
        parameter.data = torch.randn_like(parameter)
    p = gm.trace(a).symmetry().random(3)
    expected = merge([a, b], p, keep=[BERT_HEAD], keep_from=keep_from).state_dict()
    opened = [open_weights(saved(model, tmp_path / name)) for model, name in ((a, "a"), (b, "b"))]
    shares = Shares((0.5, 0.5), kept=kept_keys([BERT_HEAD], keep_from, opened[0].ties))
    write_merged([Part(opened[0]), Part(opened[1], p)], shares, tmp_path / "out", provenance={})
    found = load_state(tmp_path / "out")
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
    key = "cls.predictions.transform.dense.weight"
    assert torch.equal(found[key], [a, p.apply(b)][keep_from].state_dict()[key])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": ["four.*"]}, r"no tensor is called 'four\.\*'; there are seen, one\.weight, one\.bias"),
        ({"keep": [HEAD], "keep_from": 2}, "keep_from is 2; the models are numbered 0 to 1"),
        ({"keep_from": 1}, "keep_from says whose tensors 'keep' keeps, and nothing is kept"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        merge([Mlp(0), Mlp(1)], **arguments)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    for seed, name in ((1, "a"), (2, "b")):
        model = bert(seed)
        for parameter in model.parameters():
            parameter.data = 0.3 * torch.randn_like(parameter)
        save_tokenizer(saved(model, folder / name), ["[MASK]", *(f"w{i}" for i in range(27))])
    np.save(folder / "ids.npy", np.random.default_rng(0).integers(0, 29, 500))
    (folder / "own.py").write_text(
        "import torch\ndef ids():\n    torch.manual_seed(0)\n    ids = torch.randint(0, 29, (4, 9))\n"
        "    return [{'input_ids': ids, 'labels': ids}]\n"
    )
    return folder


def test_a_recipe_measures_the_merged_model_with_the_head_of_each(home, monkeypatch):
    monkeypatch.chdir(home)
    data = DATA | {"source": "own.py:ids"}
    report = run_recipe(write(home, merge={"keep": BERT_HEAD, "keep_from": 1}, evaluation=data))
    assert len(report.with_kept) == 2
    assert report.with_kept[0] != report.with_kept[1] == report.merged
    a, b = load_model("a").model, load_model("b").model
    p = gm.Permutations.load(home / "out" / "permutations.safetensors")
    ids = load_data_of(home)
    for n in (0, 1):
        expected = evaluate(merge([a, b], p, keep=[BERT_HEAD], keep_from=n), ids, device="cpu").loss
        assert report.with_kept[n] == pytest.approx(expected, rel=1e-6)
    text = (home / "out" / "graphmerge-report.txt").read_text()
    assert f"merged, kept of {home / 'a'}" in text
    assert json.loads((home / "out" / "graphmerge-report.json").read_text())["with_kept"] == list(report.with_kept)


def load_data_of(home):
    from graphmerge.data import load_data

    return load_data("own.py:ids", load_model(home / "a"))


def test_the_command_keeps_too(home, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    arguments = ("merge", "a", "b", "--method", "weights", "--keep", f"{BERT_HEAD},*.pooler.*", "-o", tmp_path / "new")
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert "no tensor is called '*.pooler.*'" in err
    assert not (tmp_path / "new").exists()
    arguments = (
        "merge",
        "a",
        "b",
        "--method",
        "weights",
        "--keep",
        BERT_HEAD,
        "--keep-from",
        "1",
        "-o",
        tmp_path / "new",
    )
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    p = gm.Permutations.load(tmp_path / "new" / "permutations.safetensors")
    key = "cls.predictions.transform.dense.weight"
    assert torch.equal(load_state(tmp_path / "new")[key], p.apply(load_state("b"))[key])
    made_of = json.loads((tmp_path / "new" / "graphmerge.json").read_text())["options"]
    assert (made_of["keep"], made_of["keep_from"]) == ([BERT_HEAD], 1)
