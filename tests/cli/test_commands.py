"""The command line as a stranger uses it: two checkpoints that are one model in two orders, and wrong input."""

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig

import graphmerge as gm
from graphmerge.cli import main

VOCABULARY = 29
SMALL = ("--batches", "2", "--size", "3", "--length", "9")


def run(capsys, *arguments):
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    said = capsys.readouterr()
    return stopped.value.code or 0, said.out, said.err


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Directories of a model and of a random element applied to it, with ids to measure on."""
    folder = tmp_path_factory.mktemp("pair")
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_embd=12, n_head=3, n_positions=16, vocab_size=VOCABULARY)
    a = GPT2LMHeadModel(config).eval()
    for parameter in a.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    b = gm.trace(a).symmetry().random(seed=3).apply(a)
    a.save_pretrained(folder / "a")
    b.save_pretrained(folder / "b")
    rng = np.random.default_rng(0)
    np.save(folder / "ids.npy", rng.integers(0, VOCABULARY, 500).astype(np.uint16))
    return folder


def test_trace_shows_groups_and_pins(pair, capsys):
    code, out, _ = run(capsys, "trace", pair / "a")
    assert code == 0
    assert re.search(r"residual +12", out)
    assert "layers.{0..1}.ffn" in out
    assert "look-up" in out


def test_trace_as_json(pair, capsys):
    code, out, _ = run(capsys, "trace", pair / "a", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["model"] == "GPT2LMHeadModel"
    assert any("heads" in row["pattern"] for row in data["groups"])


def test_trace_explains(pair, capsys):
    code, out, _ = run(capsys, "trace", pair / "a", "--explain", "layers.1.heads")
    assert code == 0
    assert "scaled_dot_product_attention" in out
    assert "transformer.h.1.attn.c_proj.weight[0]" in out


def test_verify_holds_and_fails(pair, tmp_path, capsys):
    spec = tmp_path / "gpt2.yaml"
    assert run(capsys, "spec", "derive", pair / "a", "-o", spec)[0] == 0
    code, out, _ = run(capsys, "verify", pair / "a", "--spec", spec, "--json")
    assert code == 0
    assert json.loads(out)["ok"]
    broken = re.sub(r"(mlp\.c_proj\.weight: )layers\.\{(\w)\}\.ffn", r"\1_48", spec.read_text())
    assert broken != spec.read_text()
    spec.write_text(broken)
    code, out, _ = run(capsys, "verify", pair / "a", "--spec", spec)
    assert code == 1
    assert "ffn" in out


def test_certify_proves_and_does_not(pair, tmp_path, capsys):
    code, out, _ = run(capsys, "certify", pair / "a")
    assert code == 0
    assert "GPT2LMHeadModel: PROVEN: no permutation was missed" in out
    spec = tmp_path / "gpt2.yaml"
    assert run(capsys, "spec", "derive", pair / "a", "-o", spec)[0] == 0
    fewer = re.sub(r"(\n  layers\.\{\w\}\.ffn: )(\d+)", r"\1{size: \2, pinned: by hand}", spec.read_text())
    assert fewer != spec.read_text()
    spec.write_text(fewer)
    code, out, _ = run(capsys, "certify", pair / "a", "--spec", spec, "--json")
    data = json.loads(out)
    assert code == 1
    assert (data["complete"], data["sound"]) == (False, True)
    assert {(m["tensor"], m["axis"]) for m in data["missed"] if "h.1" in m["tensor"]} == {
        ("transformer.h.1.mlp.c_fc.weight", 1),
        ("transformer.h.1.mlp.c_fc.bias", 0),
        ("transformer.h.1.mlp.c_proj.weight", 0),
    }


def test_verify_kinds(pair, capsys):
    code, out, _ = run(capsys, "verify", pair / "a", "--kinds", "--json")
    rows = {row["pattern"].rpartition(".")[2]: row for row in json.loads(out)["kinds"]}
    assert code == 0
    assert rows["qk"]["kind"] == "invertible"
    assert rows["residual"]["kind"] == "permutation"
    assert all(row["verdict"] == "holds" and row["error"] < 1e-12 for row in rows.values())


@pytest.mark.parametrize("method", ["weights", "activations"])
def test_the_whole_way(pair, tmp_path, capsys, method):
    found, merged, moved = tmp_path / "p.safetensors", tmp_path / "merged", tmp_path / "moved"
    data = ("--data", pair / "ids.npy", *SMALL)
    code, out, _ = run(
        capsys, "match", pair / "a", pair / "b", "--method", method, "--groups", "*", *data, "-o", found, "--json"
    )
    assert code == 0
    assert json.loads(out)["method"] == method
    code, out, _ = run(
        capsys, "barrier", pair / "a", pair / "b", "--permutations", found, "--points", "5", *data, "--json",
        "--plot", tmp_path / "curve.png", "-o", tmp_path / "curve.json",
    )  # fmt: skip
    curve = json.loads(out)
    assert code == 0
    assert curve["barrier"] == pytest.approx(0, abs=1e-5)
    assert max(abs(x - y) for x, y in zip(curve["vanilla"], curve["losses"], strict=True)) > 0.01
    assert (tmp_path / "curve.png").stat().st_size > 1000
    assert run(capsys, "merge", pair / "a", pair / "b", "--permutations", found, "-o", merged)[0] == 0
    assert run(capsys, "apply", pair / "b", found, "-o", moved)[0] == 0
    losses = [json.loads(run(capsys, "eval", m, *data, "--json")[1])["loss"] for m in (pair / "a", merged, moved)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert losses[2] == pytest.approx(losses[0], abs=1e-5)
    a, again = (GPT2LMHeadModel.from_pretrained(d).state_dict() for d in (pair / "a", moved))
    assert all(torch.equal(a[key], again[key]) for key in a)
    made_of = json.loads((merged / "graphmerge.json").read_text())
    assert made_of["permutations"] == str(found)
    assert len(made_of["inputs"]) == 2


def test_nothing_is_overwritten(pair, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    code, _, err = run(capsys, "merge", pair / "a", pair / "b", "--method", "weights", "-o", tmp_path / "there")
    assert code == 1
    assert "--force" in err


def test_a_file_of_ones_own(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def build():\n"
        "    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))\n"
        "    return net, (torch.randn(2, 5),)\n"
    )
    code, out, _ = run(capsys, "trace", f"{tmp_path / 'mine.py'}:build", "--json")
    data = json.loads(out)
    assert code == 0
    assert [row["size"] for row in data["groups"]] == [7]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trace", "no/such/model"], "there is nothing at"),
        (["trace", "none.py:build"], "there is no file"),
        (["eval", "{a}"], "needs data"),
        (["eval", "{a}", "--data", "nothing.npy"], "no data file"),
        (["merge", "{a}", "{b}", "-o", "{new}"], "how to align B"),
        (["match", "{a}", "{b}", "--method", "activations", "-o", "{new}"], "needs data"),
        (["match", "{a}", "{b}", "--groups", "nonsense", "-o", "{new}"], "no group is called"),
        (["apply", "{a}", "{ids}", "-o", "{new}"], "not a safetensors file"),
        (["trace", "{a}", "--explain", "nonsense"], "nothing is called"),
    ],
)
def test_wrong_input_gets_one_sentence(pair, tmp_path, capsys, arguments, sentence):
    names = {"a": pair / "a", "b": pair / "b", "ids": pair / "ids.npy", "new": tmp_path / "new"}
    code, out, err = run(capsys, *(text.format(**names) for text in arguments))
    assert code == 1
    assert sentence in " ".join(err.split())
    assert "Traceback" not in err + out
    assert not (tmp_path / "new").exists()


def test_debug_shows_the_traceback(capsys):
    with pytest.raises(gm.InputError):
        main(["trace", "none.py:build", "--debug"])


def test_unknown_options_exit_2(capsys):
    assert run(capsys, "trace", "--nonsense")[0] == 2
    assert run(capsys, "--version")[1].startswith("graphmerge ")


@pytest.fixture(scope="module")
def shape(tmp_path_factory):
    """A directory with a config.json and nothing else."""
    folder = tmp_path_factory.mktemp("shape")
    sizes = {"hidden_size": 24, "intermediate_size": 9, "num_hidden_layers": 3, "vocab_size": VOCABULARY}
    heads = {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 10}
    LlamaConfig(architectures=["LlamaForCausalLM"], **sizes, **heads).save_pretrained(folder)
    return folder


def test_a_config_alone_is_traced_and_verified(shape, tmp_path, capsys):
    code, out, err = run(capsys, "trace", shape)
    assert code == 0
    assert "layers.{0..2}.query_heads" in out
    assert "from its config alone" in err
    code, out, _ = run(capsys, "verify", shape, "--json")
    data = json.loads(out)
    assert code == 0
    assert data["ok"]
    assert data["shrunk"]["num_hidden_layers"] == [3, 2]
    assert data["unlike"] == []
    spec = tmp_path / "llama.yaml"
    assert run(capsys, "spec", "derive", shape, "-o", spec)[0] == 0
    assert run(capsys, "verify", shape, "--spec", spec)[0] == 0
    broken = re.sub(r"(mlp\.down_proj\.weight: .*)layers\.\{(\w)\}\.ffn", r"\1_9", spec.read_text())
    assert broken != spec.read_text()
    spec.write_text(broken)
    code, out, _ = run(capsys, "verify", shape, "--spec", spec)
    assert code == 1
    assert "NOTHING IS PROVEN" in out
    assert "layers.0.ffn" in out


def test_commands_that_need_weights_do_not_take_a_config_alone(shape, pair, tmp_path, capsys):
    data = ("--data", pair / "ids.npy")
    for command in (
        ("match", shape, shape, "-o", tmp_path / "p"),
        ("merge", shape, shape, "--method", "identity", "-o", tmp_path / "m"),
        ("apply", shape, tmp_path / "p", "-o", tmp_path / "m"),
        ("eval", shape, *data),
        ("barrier", shape, shape, *data),
    ):
        code, _, err = run(capsys, *command)
        assert code == 1
        assert "holds no weights" in err
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_verified_where_that_is_asked_for(pair, capsys):
    code, out, err = run(capsys, "verify", pair / "a", "--shrunk")
    assert code == 0
    assert "on a copy made small, which has the groups of the model" in " ".join(out.split())
    assert "from its config" not in err
    code, _, err = run(capsys, "verify", pair / "a", "--config-only")
    assert code == 0
    assert "from its config alone" in err


def test_specs_are_checked_and_compared(pair, tmp_path, capsys):
    spec, broken = tmp_path / "gpt2.yaml", tmp_path / "broken.yaml"
    assert run(capsys, "spec", "derive", pair / "a", "-o", spec)[0] == 0
    code, out, _ = run(capsys, "spec", "check", spec, pair / "a")
    assert code == 0
    assert "equal: the same 9 groups" in " ".join(out.split())
    broken.write_text(re.sub(r"(mlp\.c_fc\.bias: )layers\.\{l\}\.ffn", r"\1_", spec.read_text()))
    code, out, _ = run(capsys, "spec", "check", broken, pair / "a", "--json")
    assert code == 1
    ties = json.loads(out)["missing_ties"]
    assert [tie["axes"] for tie in ties] == [[f"transformer.h.{k}.mlp.c_fc.bias[0]"] for k in (0, 1)]
    assert all(tie["error"] > 1e-3 for tie in ties)
    code, out, _ = run(capsys, "spec", "diff", broken, spec)
    assert code == 1
    lines = [" ".join(part.split()) for part in out.split("\n\n")]  # as wide as it may be
    assert lines[1] == (
        "missing ties (unsound): 2 layers.{0..1}.ffn leaves out what moves with layers.{0..1}.ffn: "
        "transformer.h.{0..1}.mlp.c_fc.bias[0]"
    )
    assert run(capsys, "spec", "diff", spec, spec)[0] == 0
    assert run(capsys, "spec", "diff", "packaged", spec, "--model", pair / "a")[0] == 0


def test_packaged_and_short_specs_are_taken_by_name_and_file(pair, tmp_path, capsys):
    code, out, _ = run(capsys, "verify", pair / "a", "--spec", "packaged", "--json")
    assert code == 0
    assert len(json.loads(out)["errors"]) == 9
    short = tmp_path / "short.yaml"
    short.write_text("graphmerge: 1\nderive: true\npin: ['layers.*.heads']\n")
    code, out, _ = run(capsys, "spec", "check", short, pair / "a", "--json")
    assert code == 0
    assert [entry["group"] for entry in json.loads(out)["missing_freedom"]] == ["layers.0.heads", "layers.1.heads"]
    short.write_text("graphmerge: 1\nderive: true\nrelease: {words: 'transformer.wte.weight[0]'}\n")
    code, _, err = run(capsys, "verify", pair / "a", "--spec", short)
    assert code == 1
    assert "releasing 'words' changes the outputs by" in err


def test_the_schema_is_printed_and_written(tmp_path, capsys):
    code, out, _ = run(capsys, "spec", "schema")
    assert code == 0
    assert json.loads(out)["title"] == "graphmerge spec"
    assert run(capsys, "spec", "schema", "-o", tmp_path / "schema.json")[0] == 0
    assert json.loads((tmp_path / "schema.json").read_text()) == json.loads(out)


def test_a_merge_without_matching_reads_no_model_whole(pair, tmp_path, capsys, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a model was read")

    monkeypatch.setattr("graphmerge.cli.common.load_model", never)
    monkeypatch.setattr("graphmerge.cli.align.load_model", never)
    code, _, err = run(capsys, "merge", pair / "a", pair / "b", "--method", "identity", "-o", tmp_path / "m")
    assert code == 0, err
    merged, a, b = (load_file(folder / "model.safetensors") for folder in (tmp_path / "m", pair / "a", pair / "b"))
    assert all(torch.equal(merged[key], (a[key] + b[key]) / 2) for key in a)
