import re

import torch

from graphmerge.checkpoint import load_state
from graphmerge.recipe import make_plan, parse_recipe, read_recipe, run_recipe
from tests.checkpoint.tiny import gpt2, save_tokenizer
from tests.recipes_page import PAGE, page

(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_table_is_written_from_the_schema():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.recipes_page"


def test_the_example_of_the_page_is_a_recipe():
    assert len(parse_recipe(EXAMPLE).merge.exceptions) == 2


def test_the_example_of_the_page_is_carried_out(tmp_path, monkeypatch):
    """On two tiny models, with as little data as the defaults allow."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        place = tmp_path / "checkpoints" / f"gpt2-seed{seed}"
        gpt2(seed, n_positions=64).save_pretrained(place)
        save_tokenizer(place, [f"w{n}" for n in range(28)])
    for name in ("calibration.txt", "validation.txt"):
        (tmp_path / name).write_text(" ".join(f"w{n * n % 28}" for n in range(3000)))
    (tmp_path / "recipe.yaml").write_text(EXAMPLE)
    report = run_recipe("recipe.yaml")
    assert report.curve is not None
    assert len(report.curve.losses) == 21
    written = {path.name for path in (tmp_path / "merged").iterdir()}
    page_says = {"graphmerge-report.txt", "graphmerge-report.json", "barrier.png", "graphmerge-recipe.yaml"}
    assert page_says | {"permutations.safetensors", "model.safetensors"} <= written
    first, merged = (load_state(tmp_path / name) for name in ("checkpoints/gpt2-seed1", "merged"))
    assert torch.equal(first["transformer.wpe.weight"], merged["transformer.wpe.weight"])


def test_the_recipe_that_comes_along_can_be_carried_out():
    path = PAGE.parents[1] / "recipes" / "gpt2-pair.yaml"
    plan = make_plan(read_recipe(path), path.parent, path.parent / "none")
    assert len(plan.groups) == 9
