"""Eighteen tiny models whose exact number of permutations was counted independently of any derivation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import graphmerge as gm

FILE = Path(__file__).parents[2] / "shared" / "symmetry_answers.json"
ANSWERS: dict[str, Any] = json.loads(FILE.read_text()) if FILE.is_file() else {}
pytestmark = pytest.mark.skipif(not ANSWERS, reason="the counted answers are not here")


@pytest.mark.parametrize("name", ANSWERS)
def test_exact_and_sound(name: str) -> None:
    answer = ANSWERS[name]
    torch.manual_seed(0)
    options = {k: v for k, v in answer["config"].items() if k != "model_type"}
    config = getattr(transformers, answer["config_class"])(**options)
    model = getattr(transformers, answer["model_class"])._from_config(config, attn_implementation="eager").eval()
    inputs = {k: torch.rand(v["rand"]) if isinstance(v, dict) else torch.tensor(v) for k, v in answer["inputs"].items()}
    symmetry = gm.trace(model, inputs).symmetry()
    assert symmetry.log_order() == pytest.approx(answer["log_order"], abs=1e-6)
    for p in model.parameters():
        p.data = 0.5 * torch.randn_like(p)
    with torch.no_grad():
        before = model(**inputs).logits
        for seed in range(3):
            after = symmetry.random(seed=seed).apply(model)(**inputs).logits
            assert float((after - before).abs().max() / before.abs().max()) < 1e-3
