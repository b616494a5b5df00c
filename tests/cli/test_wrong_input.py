"""Wrong input on the command line: one clear sentence, exit code 1, no traceback, and nothing written."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.checkpoint.tiny import gpt2, save_tokenizer, saved
from tests.cli.test_commands import run

WORDS = [f"w{i}" for i in range(28)]
FIRST = "transformer.h.0.mlp.c_fc.weight"
OWN = """
import torch
print("noise of the file")
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = torch.nn.Linear(5, 7), torch.nn.Linear(7, 3)
    def forward(self, x): return self.down(self.up(x).relu())
def build():
    torch.manual_seed(0)
    return Net(), (torch.randn(2, 5),)
def bare(): return Net()
def data(): return [(torch.randn(4, 5),)]
def wide(): return [(torch.randn(4, 6),)]
def loss(model, batch): return model(*batch).square().mean()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Directories: a and b fit each other, the others are wrong in the way of their names."""
    folder = tmp_path_factory.mktemp("home")
    save_tokenizer(saved(gpt2(0), folder / "a"), WORDS)
    save_tokenizer(saved(gpt2(1), folder / "b"), WORDS)
    saved(gpt2(0, n_embd=32), folder / "wide")
    saved(gpt2(0, n_layer=3), folder / "deep")
    saved(gpt2(0, n_head=4), folder / "heads")
    save_tokenizer(saved(gpt2(1), folder / "words"), WORDS[::-1])
    for name, change in {
        "nan": lambda s: s[FIRST].__setitem__((0, 0), float("nan")),
        "infinite": lambda s: s[FIRST].__setitem__((0, 0), float("inf")),
        "missing": lambda s: s.pop(FIRST),
        "extra": lambda s: s.__setitem__("transformer.h.9.foo", torch.ones(3)),
        "shape": lambda s: s.__setitem__(FIRST, torch.ones(16, 63)),
    }.items():
        shutil.copytree(folder / "b", folder / name)
        state = load_file(folder / name / "model.safetensors")
        change(state)
        save_file(state, folder / name / "model.safetensors", metadata={"format": "pt"})
    shutil.copytree(folder / "b", folder / "pickled")
    (folder / "pickled" / "model.safetensors").unlink()
    torch.save({}, folder / "pickled" / "pytorch_model.bin")
    (folder / "empty").mkdir()
    (folder / "precious").mkdir()
    (folder / "precious" / "thesis.tex").write_text("years of work")
    np.save(folder / "ids.npy", np.random.default_rng(0).integers(0, 29, 500))
    (folder / "own.py").write_text(OWN)
    return folder


def listed(folder):
    """What is in a folder, but for what Python leaves when it runs a file there."""
    return sorted(name for name in os.listdir(folder) if name != "__pycache__")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("match a wide -o new", "transformer.wte.weight has shape (29, 16) in a and (29, 32) in wide"),
        ("merge a deep --method weights -o new", "a lacks transformer.h.2.ln_1.weight"),
        ("match a heads -o new", "the configs differ in n_head: 2 in a, 4 in heads"),
        ("match a nan -o new", f"nan: {FIRST} has 1 NaN entries"),
        ("barrier a infinite --data ids.npy", f"infinite: {FIRST} has 1 infinite entries"),
        ("merge a missing --method weights -o new", f"missing lacks weights of GPT2LMHeadModel, which its config.json "
         f"names, and they would be random: {FIRST}"),
        ("trace shape", f"{FIRST} has shape (16, 63), but its config.json makes a GPT2LMHeadModel with (16, 64)"),
        ("trace empty", "empty is no model: it has no config.json"),
        ("trace ids.npy", "ids.npy is a file; a model is a directory"),
        ("verify pickled", 'which may run any code when it is read; if you trust it, convert it with: python -c "'),
        ("merge a words --method weights -o new", "different tokenizers: their vocabularies are equally large but give "
         "tokens other ids"),
        ("barrier a words --data ids.npy", "(--allow-different-tokenizers)"),
        ("trace own.py:bare", "on the command line, name a file.py:factory that returns (module, example_inputs)"),
        ("eval own.py:build --data own.py:data", "(--loss file.py:function)"),
        ("eval own.py:build --data own.py:wide --loss own.py:loss", "mat1 and mat2 shapes cannot be multiplied"),
        ("eval a --data ids.npy --length 100", "GPT2LMHeadModel cannot run a batch of input_ids (32×100, 0 to 28)"),
        ("barrier a b --data ids.npy --plot curve.nonsense", "a figure cannot be written as .nonsense"),
        ("match a b --force -o precious", "precious is a directory; name a file to write"),
        ("spec derive a --force -o precious", "precious is a directory; name a file to write"),
        ("merge a b --method weights --force -o precious", "holds other things than a model and is not replaced"),
        ("merge a b --method weights --force -o ids.npy", "ids.npy is a file; name a directory"),
        ("apply a no.safetensors -o new", "no permutations file at no.safetensors"),
    ],
)  # fmt: skip
def test_one_sentence_and_nothing_written(home, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(home)
    before = listed(home)
    code, out, err = run(capsys, *arguments.split())
    assert code == 1
    assert sentence in err
    assert err.count("\n") == 1 or "noise of the file" in out
    assert "Traceback" not in err + out
    assert listed(home) == before
    assert os.listdir(home / "precious") == ["thesis.tex"]


def test_permutations_of_another_model(home, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    assert run(capsys, "match", "deep", "deep", "-o", tmp_path / "p.safetensors")[0] == 0
    code, _, err = run(capsys, "apply", "a", tmp_path / "p.safetensors", "-o", tmp_path / "new")
    assert code == 1
    assert "which the symmetry moves: it belongs to another model" in err
    assert not (tmp_path / "new").exists()


def test_tensors_that_are_left_out_are_said(home, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    code, _, err = run(capsys, "merge", "a", "extra", "--method", "identity", "-o", tmp_path / "new")
    assert code == 0
    assert "warning: extra holds tensors that GPT2LMHeadModel has no place for; they are left out: transformer.h" in err


def test_differing_tokenizers_merge_when_told(home, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    arguments = ("merge", "a", "words", "--method", "identity", "--allow-different-tokenizers", "-o", tmp_path / "new")
    assert run(capsys, *arguments)[0] == 0
    made_of = json.loads((tmp_path / "new" / "graphmerge.json").read_text())
    assert made_of["options"]["allow_different_tokenizers"] is True


def test_json_stands_alone_on_standard_output(home, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    p, data = tmp_path / "p.safetensors", ("--data", "own.py:data", "--loss", "own.py:loss")
    pair = ("own.py:build", "own.py:build")
    for arguments in (
        ("trace", "own.py:build"),
        ("verify", "own.py:build"),
        ("spec", "derive", "own.py:build", "-o", tmp_path / "s.yaml"),
        ("match", *pair, *data, "-o", p),
        ("apply", "own.py:build", p, "-o", tmp_path / "moved"),
        ("merge", *pair, "--method", "activations", *data, "-o", tmp_path / "merged"),
        ("eval", "own.py:build", *data),
        ("barrier", *pair, *data, "--points", 3),
    ):
        code, out, err = run(capsys, *arguments, "--json")
        assert code == 0
        assert isinstance(json.loads(out), dict)
        assert "noise of the file" in err


def test_what_a_merge_was_made_of(home, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    data = ("--data", "own.py:data", "--loss", "own.py:loss")
    merged = tmp_path / "merged"
    assert run(capsys, "merge", "own.py:build", "own.py:build", "--method", "weights", *data, "-o", merged)[0] == 0
    made_of = json.loads((merged / "graphmerge.json").read_text())
    assert [set(i["sha256"]) for i in made_of["inputs"]] == [{"own.py", "state_dict"}] * 2
    assert made_of["permutations"] == "permutations.safetensors"
    assert (merged / "permutations.safetensors").stat().st_mode == (merged / "graphmerge.json").stat().st_mode
    options = made_of["options"]
    assert (options["method"], options["data"], options["loss"]) == ("weights", "own.py:data", "own.py:loss")
    assert options["batches"] == 24
