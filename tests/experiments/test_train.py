"""The small models of the experiments: a few steps of their training, and the digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments import digits, train
from graphmerge.checkpoint import load_model
from graphmerge.demo import train as demo_training
from graphmerge.demo.data import TRAINING_FILE
from graphmerge.evaluate import evaluate
from graphmerge.graph import trace


def test_the_parts_of_the_digits_share_no_image_index() -> None:
    whole = np.concatenate([digits.images(part)[0] for part in digits.PARTS])
    assert len(whole) == 1797
    assert whole.min() == -1
    assert whole.max() == 1
    assert len(np.unique(whole.reshape(len(whole), -1), axis=0)) == 1797  # no image twice, so none in two parts


def test_shifted_images_move_by_a_pixel_at_most() -> None:
    rows = np.full((200, 1, 8, 8), -1, dtype=np.float32)
    rows[:, 0, 3, 4] = 1
    moved = digits.shifted(rows, np.random.default_rng(0))
    assert moved.shape == rows.shape
    places = {tuple(place) for place in np.argwhere(moved == 1)[:, 2:]}
    assert places == {(y, x) for y in (2, 3, 4) for x in (3, 4, 5)}
    assert (moved.sum((1, 2, 3)) == rows.sum((1, 2, 3))).all()


def test_batches_end_with_the_part() -> None:
    drawn = list(digits.batches("calibration", count=5, size=100))
    assert [len(batch["labels"]) for batch in drawn] == [100, 100, 56]


@pytest.mark.parametrize("arch", train.TRAINED)
def test_training_writes_a_model_that_loads_and_what_it_learnt(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"This is the docstring of function number {i}, and it says no more than that." for i in range(30)]
    monkeypatch.setattr(demo_training, "docstrings", lambda: texts)
    said = train.write_model(arch, 5, tmp_path, steps=2)
    assert json.loads((tmp_path / TRAINING_FILE).read_text())["validation_loss"] == said.validation_loss
    model = load_model(tmp_path).model
    fresh = train.untrained(arch, 5).state_dict()
    assert {name: t.shape for name, t in model.state_dict().items()} == {name: t.shape for name, t in fresh.items()}
    assert "residual" in trace(model).symmetry().sizes


def test_a_vision_model_learns_digits() -> None:
    model = demo_training.fit(train.untrained("vit", 1), train.digit_draw(1), 250, 1e-3, "vit")
    loss = evaluate(model, digits.batches("calibration", 1, 256), device="cpu").loss
    assert loss < 2.0  # the entropy of the digits is 2.3


def test_llama_has_grouped_queries_and_a_head_of_its_own() -> None:
    model = train.untrained("llama", 1)
    sizes = trace(model).symmetry().sizes
    assert (sizes["layers.0.heads"], sizes["layers.0.query_heads"]) == (2, 2)
    assert model.get_output_embeddings().weight is not model.get_input_embeddings().weight
