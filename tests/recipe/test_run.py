"""Whole merges from recipes: the same bytes again, from wherever a run was interrupted."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
import yaml

import graphmerge as gm
from graphmerge.checkpoint import load_model, load_state
from graphmerge.errors import InputError, RecipeError
from graphmerge.merge import combine
from graphmerge.recipe import run_recipe, work_folder
from graphmerge.recipe.estimate import estimate
from graphmerge.recipe.plan import make_plan
from graphmerge.recipe.read import read_recipe
from graphmerge.recipe.stages import match_options
from tests.cli.test_commands import run as command
from tests.recipe.home import DATA, files, furnish, write

WHOLE = {
    "calibration": DATA,
    "evaluation": {**DATA, "points": 3},
    "merge": {"weights": [0.25, 0.75]},
    "seed": 5,
}

TO = ("first", "universe")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return furnish(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def whole(house):
    """The files that the whole recipe gives."""
    run_recipe(write(house, "whole.yaml", **WHOLE), output=house / "whole")
    return files(house / "whole")


@pytest.fixture
def home(house, monkeypatch):
    monkeypatch.chdir(house)
    yield house
    for path in (house / "out", work_folder(house / "out")):
        subprocess.run(["rm", "-rf", path], check=True)


def test_what_a_run_writes(whole, house):
    assert whole.keys() - files(house / "a").keys() == {
        "graphmerge.json", "graphmerge-recipe.yaml", "graphmerge-report.json", "graphmerge-report.txt",
        "permutations.safetensors", "barrier.png",
    }  # fmt: skip
    report = json.loads(whole["graphmerge-report.json"])
    assert len(report["curve"]["losses"]) == 3
    assert "seconds" not in report["curve"]
    assert str(house / "a").encode() in whole["graphmerge-report.txt"]
    assert b"whole" not in whole["graphmerge-recipe.yaml"].replace(str(house).encode(), b"")
    assert not work_folder(house / "whole").exists()
    made_of = json.loads(whole["graphmerge.json"])
    read = made_of["inputs"][1]["sha256"].keys()
    assert "config.json" in read
    assert sum(name.startswith("model-") for name in read) > 3
    p = gm.Permutations.load(house / "whole" / "permutations.safetensors")
    expected = gm.merge([house / "a", house / "b"], p, [0.25, 0.75]).state_dict()
    found = load_model(house / "whole").model.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_the_same_recipe_gives_the_same_bytes(whole, home):
    run_recipe(home / "whole.yaml", output="out")
    assert files(home / "out") == whole


def test_the_resolved_recipe_gives_the_same_bytes(whole, home):
    resolved = home / "whole" / "graphmerge-recipe.yaml"
    run_recipe(resolved, output="out")
    assert files(home / "out") == whole
    with pytest.raises(RecipeError, match="exists already"):
        run_recipe(resolved)
    run_recipe(resolved, force=True)
    assert files(home / "whole") == whole


KILLED = """
import os, signal, sys, torch
from graphmerge.recipe import run_recipe
torch.set_num_threads(1)
def finished(stage):
    if stage == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
run_recipe("whole.yaml", output="out", finished=finished)
"""


@pytest.mark.parametrize("stage", ["match"])
def test_killed_and_resumed(whole, home, stage):
    place = os.pathsep.join(sys.path)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, stage], env=os.environ | {"PYTHONPATH": place, "OMP_NUM_THREADS": "1"}
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (home / "out").exists()
    said = []
    run_recipe(home / "whole.yaml", output="out", resume=True, say=said.append)
    assert f"{stage}: finished before" in said
    assert files(home / "out") == whole
    assert not work_folder(home / "out").exists()


@pytest.mark.parametrize(
    "where",
    [
        "graphmerge.checkpoint.save.write_tensor",
        "graphmerge.recipe.stages.barrier",
        "graphmerge.recipe.run.os.rename",
        "graphmerge.recipe.run.shutil.rmtree",
    ],
)
def test_interrupted_inside_a_stage_and_resumed(whole, home, monkeypatch, where):
    def interrupt(*args, **keys):
        raise KeyboardInterrupt

    late = where.startswith("graphmerge.recipe.run")  # what other stages call too

    def finished(stage):
        if late and stage == "report":
            monkeypatch.setattr(where, interrupt)

    if not late:
        monkeypatch.setattr(where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(home / "whole.yaml", output="out", finished=finished)
    monkeypatch.undo()
    monkeypatch.chdir(home)
    run_recipe(home / "whole.yaml", output="out", resume=True)
    assert files(home / "out") == whole
    assert not work_folder(home / "out").exists()


def test_what_cannot_be_resumed(home):
    recipe = write(home, match={"method": "identity"})
    with pytest.raises(InputError, match=r"there is no interrupted run of .*out to resume"):
        run_recipe(recipe, resume=True)

    def stop(stage):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe, finished=stop)
    with pytest.raises(InputError, match="holds an interrupted run; go on with it by --resume"):
        run_recipe(recipe)
    write(home, match={"method": "identity"}, merge={"weights": [0, 1]})
    with pytest.raises(InputError, match="the recipe or its inputs have changed"):
        run_recipe(recipe, resume=True)
    run_recipe(recipe, force=True)
    assert torch.equal(load_state(home / "out")["lm_head.weight"], load_state(home / "b")["lm_head.weight"])


def test_inputs_that_have_changed_are_named(whole, home):
    given = yaml.safe_load(whole["graphmerge-recipe.yaml"])
    given["inputs"]["models.1"]["config.json"] = "0" * 64
    given["inputs"]["calibration.source"] = {}
    given["output"] = "out"
    (home / "old.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    with pytest.raises(RecipeError) as error:
        run_recipe("old.yaml")
    line = next(n for n, text in enumerate((home / "old.yaml").read_text().splitlines(), 2) if text == "inputs:")
    assert str(error.value) == (
        f"old.yaml:{line}:3: not what they were when this was written: config.json (models.1), "
        "ids.npy (calibration.source); remove 'inputs' to run it all the same"
    )
    assert not (home / "out").exists()


def test_weights_for_groups_and_tensors(home):
    own = [
        {"tensors": "*.mlp.c_fc.bias, transformer.wte.*", "weights": [1, 0]},
        {"groups": "ffn", "weights": [0.9, 0.1]},
    ]
    run_recipe(write(home, match={"method": "identity"}, merge={"weights": [0.5, 0.5], "exceptions": own}))
    a, b, found = (load_state(home / name) for name in ("a", "b", "out"))
    first = "transformer.h.0."
    for key, weights in {
        f"{first}mlp.c_fc.bias": [1, 0],
        "transformer.wte.weight": [1, 0],
        "lm_head.weight": [1, 0],  # which is tied to the former
        f"{first}mlp.c_fc.weight": [0.9, 0.1],
        f"{first}mlp.c_proj.weight": [0.9, 0.1],
        f"{first}mlp.c_proj.bias": [0.5, 0.5],
        f"{first}attn.c_attn.weight": [0.5, 0.5],
    }.items():
        assert torch.equal(found[key], combine([a[key], b[key]], weights)), key


def test_a_planted_order_comes_back(home):
    run_recipe(write(home, groups="*"))
    planted = gm.trace(load_model(home / "a").model).symmetry().random(seed=3)
    assert gm.Permutations.load(home / "out" / "permutations.safetensors") == planted.inverse()


def test_slerp_and_files_of_another_size(home):
    run_recipe(write(home, match={"method": "identity"}, merge={"method": "slerp"}, shard_size="100kB"))
    a, b, found = (load_state(home / name) for name in ("a", "b", "out"))
    key = "transformer.h.0.mlp.c_fc.weight"
    lengths = [float(state[key].norm()) for state in (a, b, found)]
    assert lengths[2] == pytest.approx(lengths[0], rel=0.02)
    assert float(((a[key] + b[key]) / 2).norm()) < 0.9 * lengths[0]
    assert "model.safetensors" in files(home / "out")


def test_three_models_and_text(home):
    evaluation = {"source": "words.txt", "batches": 2, "size": 3, "length": 9}
    report = run_recipe(write(home, models=["a", "b", "c"], groups="ffn", evaluation=evaluation))
    assert len(report.losses) == 3
    assert report.weights == (1 / 3, 1 / 3, 1 / 3)
    assert report.groups[0] == ("layers.0.ffn", "layers.1.ffn")
    assert {"permutations-1.safetensors", "permutations-2.safetensors"} < files(home / "out").keys()


@pytest.mark.parametrize("method", ["weights", "activations"])
def test_three_models_to_one_another(home, method):
    """What the recipe writes is what `match_many` finds, and going round the three is the identity."""
    keys = {"models": ["a", "b", "c"], "groups": "ffn,heads", "calibration": DATA, "seed": 5}
    recipe = write(home, match={"method": method, "to": "universe"}, **keys)
    report = run_recipe(recipe)
    saved = [gm.Permutations.load(home / "out" / f"permutations-{n}.safetensors") for n in (1, 2)]
    models = [load_model(home / name).model for name in "abc"]
    plan = make_plan(read_recipe(recipe), home, home / "other")
    arguments = match_options(plan) | {"groups": "ffn,heads", "device": "cpu"}
    found = gm.match_many(models, gm.trace(models[0]).symmetry(), to="universe", **arguments)
    assert tuple(saved) == found.permutations
    assert report.groups == (found.groups, found.groups)
    merged, states = load_state(home / "out"), [p.apply(m.state_dict()) for p, m in zip(saved, models[1:])]
    key = "transformer.h.0.mlp.c_fc.weight"
    torch.testing.assert_close(merged[key], (models[0].state_dict()[key] + states[0][key] + states[1][key]) / 3)
    before = files(home / "out")
    run_recipe(recipe, force=True)
    assert files(home / "out") == before


def test_what_matching_to_one_another_will_take(home):
    keys = {"models": ["a", "b", "c"], "calibration": DATA}
    plans = [make_plan(read_recipe(write(home, match={"method": "activations", "to": to}, **keys)), home) for to in TO]
    first, universe = (estimate(plan)[1] for plan in plans)
    assert "6 × 2 batches of activations, 3 × " in universe.what
    assert "4 × 2 batches of activations, 2 × " in first.what
    assert universe.memory > first.memory


@pytest.mark.parametrize("spec", ["packaged", "gpt2", "spec.yaml"])
def test_groups_from_a_spec(whole, home, spec):
    gm.trace(load_model(home / "a").model).symmetry().to_yaml(home / "spec.yaml")
    run_recipe(write(home, **WHOLE | {"spec": spec}))
    same = [name for name in whole if name.endswith(".safetensors") and name != "permutations.safetensors"]
    assert all(files(home / "out")[name] == whole[name] for name in same)


def test_models_data_and_loss_of_ones_own(home):
    own = {"source": "own.py:ids", "loss": "own.py:sums"}
    recipe = write(home, models=["own.py:build", "own.py:build"], evaluation=own)
    report = run_recipe(recipe, output="out")
    before = files(home / "out")
    assert report.losses[0] == report.losses[1] == report.merged  # the seed is set before either is built
    run_recipe(recipe, output="out", force=True)
    assert files(home / "out") == before
    calibration = {"source": "own.py:batches"}
    write(home, calibration=calibration, match={"method": "activations", "loss": "own.py:loss"})
    run_recipe(recipe, output="out", force=True)
    before = files(home / "out")
    run_recipe(recipe, output="out", force=True)
    assert files(home / "out") == before


def test_the_command(home, capsys):
    recipe = write(home, **WHOLE)
    code, out, _ = command(capsys, "run", recipe, "--dry-run")
    assert code == 0
    assert "groups that may take part (chosen on the calibration data): residual, layers.{0..1}" in " ".join(
        out.split()
    )
    code, out, _ = command(capsys, "run", recipe, "--dry-run", "--json")
    plan = json.loads(out)
    assert [row["stage"] for row in plan["stages"]] == ["groups", "match", "merge", "evaluate"]
    assert plan["chosen"]
    assert not (home / "out").exists()
    assert not work_folder(home / "out").exists()
    code, out, err = command(capsys, "run", recipe)
    assert code == 0
    assert "vanilla" in out
    assert "merge" in err
    code, out, err = command(capsys, "run", recipe)
    assert code == 1
    assert re.search(r"recipe\.yaml:5:9: \S+out exists already", err)
    code, out, _ = command(capsys, "run", recipe, "--force", "--json")
    assert json.loads(out)["positions"] > 0


def test_everything_is_checked_before_any_work(home, monkeypatch):
    (home / "out").mkdir()
    recipe = write(
        home,
        models=["a", "./nowhere", "c"],
        groups=["ffn", "head"],
        calibration={"source": "none.npy"},
        match={"loss": "own.py:lost"},
        merge={"exceptions": [{"tensors": ["*.mlp.*", "mlp.*"], "weights": [1, 0, 0]}]},
        evaluation={"source": "ids.npy", "tokenizer": "a", "length": 600},
        device="cuda:77",
    )
    with pytest.raises(RecipeError, match=r"recipe\.yaml:\d+:9: device 'cuda:77' cannot be used"):
        run_recipe(recipe)
    recipe.write_text(recipe.read_text().replace("cuda:77", "cpu"))
    monkeypatch.setattr("graphmerge.recipe.run.Stages", None)
    with pytest.raises(RecipeError) as error:
        run_recipe(recipe)
    said = str(error.value).replace(f"{home}/", "").splitlines()
    for text, start in zip(
        [
            "4:3: there is nothing at nowhere",
            "6:9: out exists already; name another directory, or replace it with force=True (--force)",
            "10:3: no group is called 'head'; there are residual, layers.*.heads",
            "12:11: there is no data file none.npy",
            "14:9: own.py has no function 'lost'; it defines ",
            "19:7: no tensor is called 'mlp.*'; there are transformer.wte.weight",
            "25:11: the data holds 500 tokens; windows of 600 need more",
        ],
        said,
        strict=True,
    ):
        assert start.removeprefix("recipe.yaml:").startswith(text), start
