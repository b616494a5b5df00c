import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from graphmerge.checkpoint import load_model, load_state
from graphmerge.errors import ArchitectureMismatch, InputError
from tests.checkpoint.tiny import Tied, bert, gpt2, save_tokenizer, saved


def same(a: dict, b: dict) -> bool:
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("make", [gpt2, bert])
def test_directory_gives_the_class_its_config_names(make, tmp_path, capfd):
    model = make()
    save_tokenizer(saved(model, tmp_path), ["a", "b"])
    loaded = load_model(tmp_path)
    assert type(loaded.model) is type(model)
    assert not loaded.model.training
    assert same(loaded.model.state_dict(), model.state_dict())
    assert loaded.source == str(tmp_path)
    assert loaded.directory == tmp_path
    assert loaded.tokenizer is not None
    assert loaded.tokenizer.entries == 3
    assert capfd.readouterr() == ("", "")  # no progress bars, no reports


def test_dtype_is_the_checkpoints_unless_another_is_given(tmp_path):
    saved(gpt2().to(torch.bfloat16), tmp_path)
    assert next(load_model(tmp_path).model.parameters()).dtype == torch.bfloat16
    assert next(load_model(tmp_path, dtype="float32").model.parameters()).dtype == torch.float32
    with pytest.raises(InputError, match="'float33' is no floating-point dtype"):
        load_model(tmp_path, dtype="float33")


def test_module_is_not_changed():
    ready, training = gpt2(), gpt2().train()
    assert load_model(ready).model is ready
    loaded = load_model(training)
    assert training.training
    assert not loaded.model.training
    half = load_model(ready, dtype=torch.float16).model
    assert next(half.parameters()).dtype == torch.float16
    assert next(ready.parameters()).dtype == torch.float32


def test_settings_of_transformers_logging_come_back(tmp_path):
    from transformers.utils import logging

    saved(gpt2(), tmp_path)
    level = logging.get_verbosity()
    shown = logging.is_progress_bar_enabled()
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    try:
        load_model(tmp_path)
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity(level)
        if not shown:
            logging.disable_progress_bar()


@pytest.mark.parametrize("source", ["/no/such/place", "./nowhere/at/all", Path("nowhere")])
def test_missing_path(source):
    with pytest.raises(InputError, match=r"there is nothing at .*(place|all|nowhere)$"):
        load_model(source)


def test_directory_that_is_no_model(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"is no model: it has no config\.json"):
        load_model(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="holds an adapter, not a model"):
        load_model(tmp_path)


def test_directory_without_weights(tmp_path):
    (saved(gpt2(), tmp_path) / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds no weights: expected model\.safetensors"):
        load_model(tmp_path)


def test_pickle_in_a_directory_is_refused_with_a_command_that_works(tmp_path):
    model, folder = gpt2(), tmp_path / "old"
    (saved(model, folder) / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="is a pickle file") as refused:
        load_model(folder)
    run_suggested(refused)
    assert same(load_model(tmp_path / "old-safetensors").model.state_dict(), model.state_dict())


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("load", [load_model, load_state])
def test_pickle_file_is_refused_with_a_command_that_works(tmp_path, suffix, load):
    tensor = torch.randn(2, 3)
    path = tmp_path / f"weights{suffix}"
    torch.save({"w": tensor, "tied": tensor}, path)
    with pytest.raises(InputError, match="is a pickle file") as refused:
        load(path)
    run_suggested(refused)
    assert same(load_state(tmp_path / "weights.safetensors"), {"tied": tensor, "w": tensor})


def run_suggested(refused) -> None:
    command = re.search(r'python -c "(.*)"$', str(refused.value))
    assert command
    exec(command[1], {})


def test_weights_that_would_be_random_are_named(tmp_path):
    saved(gpt2(), tmp_path, architectures=["GPT2ForSequenceClassification"])
    with pytest.raises(ArchitectureMismatch, match=r"lacks weights of GPT2ForSequenceClassification.*: score\.weight"):
        load_model(tmp_path)


def test_weights_that_do_not_fit_the_config(tmp_path):
    saved(gpt2(), tmp_path, n_inner=40)
    with pytest.raises(ArchitectureMismatch, match=r"transformer\.h\.0\.mlp\.c_\w+\.\w+ has shape .*64.* with .*40"):
        load_model(tmp_path)


@pytest.mark.parametrize(("value", "kind"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_bad_numbers_name_the_tensor(tmp_path, value, kind):
    model = gpt2()
    model.transformer.h[1].mlp.c_fc.weight.data[0, :2] = value
    expected = rf"transformer\.h\.1\.mlp\.c_fc\.weight has 2 {kind} entries of 1,024"
    with pytest.raises(InputError, match=expected):
        load_model(saved(model, tmp_path))
    with pytest.raises(InputError, match=expected):
        load_model(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": None}, "does not name its class"),
        ({"architectures": ["GPT7LMHeadModel"]}, "names the class GPT7LMHeadModel, which transformers .* lacks"),
        ({"architectures": ["Trainer"]}, "names the class Trainer, which transformers .* lacks"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
    ],
)
def test_configs_that_cannot_be_used(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load_model(saved(gpt2(), tmp_path, **change))


def test_damaged_files(tmp_path):
    file = saved(gpt2(), tmp_path) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded as GPT2LMHeadModel"):
        load_model(tmp_path)
    with pytest.raises(InputError, match="is not a whole safetensors file"):
        load_state(file)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is not readable JSON"):
        load_model(tmp_path)


def test_shards(tmp_path):
    model = gpt2()
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert same(load_state(tmp_path), model.state_dict())
    shards[0].unlink()
    with pytest.raises(InputError, match=f"is incomplete: .* names {shards[0].name}, which is not there"):
        load_model(tmp_path)


REMOTE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel

class HomeConfig(PretrainedConfig):
    model_type = "home"

class HomeModel(PreTrainedModel):
    config_class = HomeConfig

    def __init__(self, config):
        super().__init__(config)
        self.line = torch.nn.Linear(3, 3)
        self.post_init()
"""


@pytest.fixture
def remote(tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "home_code.py").write_text(REMOTE)
    config = {"architectures": ["HomeModel"], "model_type": "home", "auto_map": {"AutoModel": "home_code.HomeModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"line.weight": torch.eye(3), "line.bias": torch.ones(3)}, folder / "model.safetensors")
    return folder


def test_code_in_the_checkpoint_runs_only_when_trusted(remote):
    with pytest.raises(InputError, match=r"brings its own code for HomeModel, which is not run; read it.*trust_remote"):
        load_model(remote)
    loaded = load_model(remote, trust_remote_code=True)
    assert type(loaded.model).__name__ == "HomeModel"
    assert torch.equal(loaded.model.state_dict()["line.weight"], torch.eye(3))


def test_identifiers_go_to_the_hub(tmp_path, monkeypatch):
    saved(gpt2(), tmp_path)
    asked = []

    def download(name, *, allow_patterns):
        asked.append((name, "*.py" in allow_patterns))
        if name == "org/none":
            raise OSError("\n404 Client Error.\nhttps://...")
        return str(tmp_path)

    monkeypatch.setattr("graphmerge.checkpoint.pretrained.snapshot_download", download)
    loaded = load_model("org/small")
    assert (loaded.source, loaded.directory) == ("org/small", tmp_path)
    load_model("org/small", trust_remote_code=True)
    with pytest.raises(InputError, match=r"no directory 'org/none' here.*\(OSError: 404 Client Error\)$"):
        load_model("org/none")
    assert asked == [("org/small", False), ("org/small", True), ("org/none", False)]


def test_load_state_has_every_alias(tmp_path):
    model = gpt2()
    state = load_state(saved(model, tmp_path))
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    assert same(state, model.state_dict())
    assert state["lm_head.weight"].data_ptr() == state["transformer.wte.weight"].data_ptr()


def test_load_state_of_what_is_in_memory():
    module = Tied()
    assert same(load_state(module), module.state_dict())
    assert same(load_state(module.state_dict()), module.state_dict())
    with pytest.raises(InputError, match="'step' is a int"):
        load_state({"step": 3})


def test_a_config_alone_gives_a_model_without_weights(tmp_path):
    directory = saved(gpt2(), tmp_path / "whole")
    loaded = load_model(directory, config_only=True, device="cpu", dtype="float16")
    assert all(p.is_meta for p in loaded.model.parameters())
    assert not loaded.model.training
    assert loaded.model.config.n_embd == 16
    assert not any(p.is_meta for p in load_model(directory, config_only=None).model.parameters())
    (directory / "model.safetensors").unlink()
    with pytest.raises(InputError, match="holds no weights"):
        load_model(directory)
    assert all(p.is_meta for p in load_model(directory, config_only=None).model.parameters())


def test_damaged_and_pickled_weights_are_not_passed_over(tmp_path):
    directory = saved(gpt2(), tmp_path / "pickled")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(InputError, match="is a pickle file"):
        load_model(directory, config_only=None)
    (directory / "pytorch_model.bin").rename(directory / "model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match="holds no weights"):
        load_model(directory, config_only=None)
    (directory / "config.json").unlink()
    (directory / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"it has no config\.json"):
        load_model(directory, config_only=None)


def test_what_has_no_config_is_not_built_from_one(tmp_path):
    with pytest.raises(InputError, match="builds its model itself"):
        load_model("models.py:build", config_only=True)
    directory = saved(gpt2(), tmp_path, architectures=["NoSuchModel"])
    with pytest.raises(InputError, match="names the class NoSuchModel"):
        load_model(directory, config_only=True)
