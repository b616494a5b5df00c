"""The trained pairs, where they are: a recipe run twice, and killed and resumed, gives the same bytes."""

from pathlib import Path

import pytest

from graphmerge.recipe import run_recipe
from tests.recipe.home import files, write

SHARED = Path(__file__).parents[3] / "shared"
BATCHES = {"tokenizer": str(SHARED / "data" / "tokenizer"), "batches": 2, "size": 8}


@pytest.mark.skipif(not (SHARED / "checkpoints").is_dir(), reason="the trained pairs are not here")
@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_the_trained_pairs(name, tmp_path):
    recipe = write(
        tmp_path,
        models=[str(SHARED / "checkpoints" / f"{name}-mini-seed{seed}") for seed in (1, 2)],
        groups="ffn",
        calibration={"source": str(SHARED / "data" / "calibration.npy"), **BATCHES},
        match={"method": "activations"},
        evaluation={"source": str(SHARED / "data" / "validation.npy"), **BATCHES},
    )

    def stop(stage):
        raise KeyboardInterrupt

    report = run_recipe(recipe, output=tmp_path / "one")
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe, output=tmp_path / "two", finished=stop)
    run_recipe(recipe, output=tmp_path / "two", resume=True)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert report.merged is not None
    assert min(report.losses) < report.merged < 7.5
