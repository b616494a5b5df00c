"""What a recipe reads besides models and text: specs that change what is derived, data sets, and what if they lack."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

import graphmerge as gm
from graphmerge.checkpoint import load_model
from graphmerge.errors import GraphMergeWarning, RecipeError
from graphmerge.merge.combine import CHUNK
from graphmerge.recipe import make_plan, read_recipe, run_recipe
from graphmerge.recipe.estimate import SINGLE, estimate
from tests.checkpoint.tiny import gpt2
from tests.cli.test_commands import run as command
from tests.recipe.home import DATA, files, furnish, write

IDENTITY = {"match": {"method": "identity"}}
CHANGED = """\
graphmerge: 1
derive: true
pin: [residual]
tie: [layers.*.ffn]
rename: {"layers.{l}.heads": "blocks.{l}.heads"}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return furnish(tmp_path_factory.mktemp("house"))


@pytest.fixture(autouse=True)
def no_output(home):
    yield
    shutil.rmtree(home / "out", ignore_errors=True)


def test_a_spec_that_changes_what_is_derived(home):
    (home / "short.yaml").write_text(CHANGED)
    recipe = write(home, spec="short.yaml", calibration=DATA, groups="*")
    report = run_recipe(recipe)
    names = [f"{stem}.{n}.{role}" for n in (0, 1) for stem, role in (("blocks", "heads"), ("layers", "qk"))]
    assert set(names) < set(report.groups[0])
    assert "residual" not in report.groups[0]
    found = gm.Permutations.load(home / "out" / "permutations.safetensors")
    model = load_model(home / "a").model
    assert found.symmetry == gm.load_spec(home / "short.yaml", model)
    assert gm.verify(model, found.symmetry).ok
    before = files(home / "out")
    inputs = yaml.safe_load(before["graphmerge-recipe.yaml"])["inputs"]
    assert inputs["spec"].keys() == {"short.yaml"}
    run_recipe(home / "out" / "graphmerge-recipe.yaml", force=True)
    assert files(home / "out") == before


def test_mistakes_in_such_a_spec_are_reported_at_both_places(home):
    (home / "short.yaml").write_text("graphmerge: 1\nderive: true\npin: [layers.0.fnn, head]\n")
    recipe = write(home, spec="short.yaml", **IDENTITY)
    line = next(n for n, text in enumerate(recipe.read_text().splitlines(), 1) if text.startswith("spec:"))
    with pytest.raises(RecipeError) as error:
        run_recipe(recipe)
    said = str(error.value).splitlines()
    assert said[0] == (
        f"{recipe}:{line}:7: {home / 'short.yaml'}:3:7: no group is called 'layers.0.fnn'; did you mean 'layers.0.ffn'?"
    )
    assert said[1].startswith(f"{home / 'short.yaml'}:3:21: no group is called 'head'")
    assert not (home / "out").exists()


@pytest.fixture(scope="module")
def llamas(tmp_path_factory):
    """Two models whose queries and keys stand because of the rotary table, in a folder."""
    folder = tmp_path_factory.mktemp("llamas")
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=29, num_key_value_heads=2, **sizes)
    for n, name in enumerate("ab"):
        torch.manual_seed(n)
        LlamaForCausalLM(config).save_pretrained(folder / name, max_shard_size="3kB")
    return folder


def test_what_a_spec_releases_is_measured_before_any_work(llamas):
    """The weights stand in files; the first model is loaded for this alone, and the plan says so."""
    words = "model.embed_tokens.weight[0]"
    (llamas / "short.yaml").write_text(f"graphmerge: 1\nderive: true\nrelease: {{words: '{words}'}}\n")
    recipe = write(llamas, spec="short.yaml", **IDENTITY)
    with pytest.raises(
        RecipeError, match=r"short\.yaml:3:11: releasing 'words' changes the outputs by \d\.\de[-+]\d\d"
    ):
        run_recipe(recipe)
    assert not (llamas / "out").exists()


def test_the_plan_says_what_a_release_takes(home):
    """A constant matrix pins what may move after all; see tests/resolve for the model."""
    (home / "mirrored.py").write_text(
        "import torch\nfrom tests.resolve.test_override import IDS, Mirrored\n"
        "def build():\n    return Mirrored(), IDS\n"
    )
    (home / "short.yaml").write_text(
        "graphmerge: 1\nderive: true\nrelease: {ffn: ['up.weight[0]', 'down.weight[1]']}\n"
    )
    recipe = write(home, models=["mirrored.py:build"] * 2, spec="short.yaml", match={"method": "weights"})
    plan = make_plan(read_recipe(recipe), home)
    (groups, *_) = estimate(plan)
    assert "what it releases measured on the first model" in groups.what
    assert groups.memory == 3 * 8 * sum(p.numel() for p in plan.weights[0].loaded.model.parameters())
    assert "ffn" in run_recipe(recipe).groups[0]


def test_the_plan_says_which_models_are_held_as_a_whole(tmp_path):
    """Files hold one tensor under two names."""
    model = gpt2(1)
    for name in "ab":
        model.save_pretrained(tmp_path / name)
        state = load_file(tmp_path / name / "model.safetensors")
        state["ln_f.bias"] = state["transformer.ln_f.bias"].clone()
        save_file(state, tmp_path / name / "model.safetensors", metadata={"format": "pt"})
    recipe = write(tmp_path, **IDENTITY)
    with pytest.warns(GraphMergeWarning, match="is read into memory as a whole: its files have"):
        plan = make_plan(read_recipe(recipe), tmp_path)
    merging = next(row for row in estimate(plan) if row.stage == "merge")
    assert f"one at a time, but for {tmp_path / 'a'} and {tmp_path / 'b'}, in memory as a whole" in merging.what
    assert merging.memory > 2 * 4 * sum(p.numel() for p in model.parameters())


def test_the_plan_of_models_whose_tensors_change_their_form(tmp_path):
    """Files hold one tensor for each expert, which the class stacks: twice there while it is made."""
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}
    model = MixtralForCausalLM(MixtralConfig(vocab_size=29, num_key_value_heads=2, num_local_experts=3, **sizes))
    for name in "ab":
        model.save_pretrained(tmp_path / name)
    plan = make_plan(read_recipe(write(tmp_path, **IDENTITY)), tmp_path)
    merging = next(row for row in estimate(plan) if row.stage == "merge")
    assert merging.what.startswith(f"{len(model.state_dict())} tensors, one at a time, ")
    assert merging.memory == 3 * 4 * (3 * 2 * 24 * 16) + 3 * SINGLE * CHUNK
    assert merging.written == 4 * sum(p.numel() for p in model.parameters())


ROWS = [{"words": f"w{n % 28} w{n % 5} w3", "number": n} for n in range(99)]
DATASET = {"batches": 2, "size": 3, "length": 9}


def _jsonl(folder, datasets):
    folder.mkdir()
    for n in (0, 1):
        lines = [json.dumps(row) for row in ROWS[50 * n : 50 * (n + 1)]]
        (folder / f"part-{n}.jsonl").write_text("\n".join(lines) + "\n")


def _parquet(folder, datasets):
    folder.mkdir()
    for n in (0, 1):
        datasets.Dataset.from_list(ROWS[50 * n : 50 * (n + 1)]).to_parquet(str(folder / f"part-{n}.parquet"))


def _saved(folder, datasets):
    datasets.Dataset.from_list(ROWS).save_to_disk(str(folder))


def _splits(folder, datasets):
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(str(folder))


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets")


@pytest.mark.parametrize("make", [_jsonl, _parquet, _saved, _splits], ids=lambda make: make.__name__[1:])
def test_a_data_set_in_a_folder(home, datasets, make):
    """However its rows are kept, they are the same text, and give the same permutations as a file of that text."""
    name = f"rows-{make.__name__[1:]}"
    make(home / name, datasets)
    recipe = write(home, calibration={"dataset": {"name": name, "column": "words", "rows": 60}, **DATASET})
    run_recipe(recipe)
    before = files(home / "out")
    (home / "rows.txt").write_text("\n\n".join(row["words"] for row in ROWS[:60]))
    run_recipe(write(home, calibration={"source": "rows.txt", **DATASET}), force=True)
    assert files(home / "out")["permutations.safetensors"] == before["permutations.safetensors"]
    run_recipe(recipe_of(home, before), force=True)
    assert files(home / "out") == before


def recipe_of(home, written):
    """The resolved recipe of a run, as a file that writes to the same directory."""
    data = yaml.safe_load(written["graphmerge-recipe.yaml"]) | {"output": str(home / "out")}
    (home / "again.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return home / "again.yaml"


def test_a_data_set_that_has_changed_is_refused(home, datasets):
    _jsonl(home / "changing", datasets)
    run_recipe(write(home, calibration={"dataset": {"name": "changing", "column": "words"}, **DATASET}))
    resolved = recipe_of(home, files(home / "out"))
    part = home / "changing" / "part-0.jsonl"
    part.write_text(part.read_text().replace("w1", "w2"))
    with pytest.raises(RecipeError, match=r"not what they were .*: text \(calibration\.dataset\)"):
        run_recipe(resolved, force=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column": "word"}, "data set '.*rows' has no column 'word'; it has words, number"),
        ({"column": "number"}, "column 'number' of data set '.*rows' holds no text"),
        ({"split": "test"}, "data set '.*rows' cannot be read"),
        ({"name": "nowhere/nothing"}, "data set 'nowhere/nothing' cannot be read"),
    ],
)
def test_what_is_said_of_a_data_set_that_cannot_be_used(home, datasets, monkeypatch, change, message):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)  # nobody is asked, and nobody waited for
    if not (home / "rows").exists():
        _splits(home / "rows", datasets)
    recipe = write(home, calibration={"dataset": {"name": "rows", "column": "words"} | change, **DATASET})
    with pytest.raises(RecipeError, match=r"recipe\.yaml:\d+:\d+: " + message):
        run_recipe(recipe)


def test_data_sets_need_a_package_that_may_be_missing(home, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "datasets", None)
    recipe = write(home, calibration={"dataset": {"name": "rows"}, **DATASET})
    code, _, err = command(capsys, "run", recipe, "--dry-run")
    assert code == 1
    line = next(n for n, text in enumerate(recipe.read_text().splitlines(), 1) if "name: rows" in text)
    assert f"{recipe.name}:{line}:5: data sets need the package datasets: pip install 'graphmerge[datasets]'" in err
