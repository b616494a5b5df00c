import hashlib
import json
import os

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import graphmerge
from graphmerge.checkpoint import digest, load_model, load_state, provenance, save_model
from graphmerge.errors import InputError
from tests.checkpoint.tiny import Tied, gpt2, save_tokenizer, saved


@pytest.fixture
def source(tmp_path):
    folder = save_tokenizer(saved(gpt2(), tmp_path / "source"), ["hello", "world"])
    (folder / "README.md").write_text("about the source")
    return folder


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_from_pretrained_loads_what_was_saved(source, tmp_path):
    model = gpt2(1)
    save_model(model, tmp_path / "new" / "out", like=source, provenance={})
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "new" / "out")
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())
    assert AutoTokenizer.from_pretrained(tmp_path / "new" / "out")("hello world")["input_ids"] == [1, 2]
    assert "README.md" not in files(tmp_path / "new" / "out")
    assert os.listdir(tmp_path / "new") == ["out"]


def test_provenance_says_what_it_was_made_of(source, tmp_path):
    made_of = provenance([source, "mine.py:build"], {"method": "weights"}, permutations="moves.safetensors")
    save_model(gpt2(), tmp_path / "out", provenance=made_of)
    found = json.loads((tmp_path / "out" / "graphmerge.json").read_text())
    sha = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
    assert found["format"] == 1
    assert found["graphmerge"] == graphmerge.__version__
    assert found["torch"] == torch.__version__.split("+")[0] or found["torch"] == torch.__version__
    assert found["inputs"] == [
        {"path": str(source), "sha256": {"model.safetensors": sha}},
        {"path": "mine.py:build", "sha256": {}},
    ]
    assert found["options"] == {"method": "weights"}
    assert found["permutations"] == "moves.safetensors"


def test_saving_twice_gives_the_same_bytes(source, tmp_path):
    for name in ("one", "two"):
        save_model(gpt2(), tmp_path / name, like=source, provenance=provenance([source]))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert digest(tmp_path / "one") == digest(tmp_path / "two") == digest(source)


def test_nothing_is_overwritten_without_force(source, tmp_path):
    before = files(source)
    with pytest.raises(InputError, match="exists already"):
        save_model(gpt2(1), source, provenance={})
    assert files(source) == before
    save_model(gpt2(1), source, like=source, provenance={}, force=True)
    assert torch.equal(load_state(source)["lm_head.weight"], gpt2(1).lm_head.weight)
    assert "tokenizer.json" in files(source)
    assert sorted(os.listdir(tmp_path)) == ["source"]


def test_force_replaces_models_only(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other things than a model and is not replaced"):
        save_model(gpt2(), tmp_path / "home", provenance={}, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        save_model(gpt2(), tmp_path / "file", provenance={}, force=True)
    assert (tmp_path / "home" / "thesis.tex").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("where", ["write_module", "_copy_files", "os.rename"])
def test_a_failure_leaves_nothing_new_and_the_old_untouched(source, tmp_path, monkeypatch, error, where):
    before = files(source)
    rename = os.rename

    def fail(*args):
        if where == "os.rename" and str(args[0]).endswith(".old"):
            return rename(*args)  # putting the old one back
        if where == "os.rename" and not str(args[0]).endswith(".part"):
            return rename(*args)
        raise error

    monkeypatch.setattr(f"graphmerge.checkpoint.save.{where}", fail)
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    for target, force in ((tmp_path / "fresh", False), (source, True)):
        with pytest.raises(expected, match=r"No space left|^$"):
            save_model(gpt2(1), target, like=source, provenance={}, force=force)
    assert os.listdir(tmp_path) == ["source"]
    assert files(source) == before


def test_other_modules_are_saved_as_their_weights(tmp_path):
    module = Tied()
    save_model(module, tmp_path / "out", provenance={})
    assert sorted(files(tmp_path / "out")) == ["graphmerge.json", "model.safetensors"]
    state = load_state(tmp_path / "out")
    assert state.keys() == module.state_dict().keys()
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
    assert state["head.weight"].data_ptr() == state["embed.weight"].data_ptr()
    with pytest.raises(InputError, match=r"holds weights without config\.json.*load_state"):
        load_model(tmp_path / "out")


def test_the_models_own_code_goes_along(source, tmp_path):
    (source / "code.py").write_text("x = 1")
    save_model(gpt2(), tmp_path / "plain", like=source, provenance={})
    assert "code.py" not in files(tmp_path / "plain")
    model = gpt2()
    model.config.auto_map = {"AutoModel": "code.Net"}
    save_model(model, tmp_path / "remote", like=source, provenance={})
    assert files(tmp_path / "remote")["code.py"] == b"x = 1"


def test_like_must_be_there(tmp_path):
    with pytest.raises(InputError, match="there is no directory nowhere to copy"):
        save_model(gpt2(), tmp_path / "out", like="nowhere", provenance={})
    assert not (tmp_path / "out").exists()


def test_digest_of_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is nothing at"):
        digest(tmp_path / "none")
    with pytest.raises(InputError, match="holds no weights"):
        digest(tmp_path)
