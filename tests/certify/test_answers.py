"""Eighteen tiny models whose exact log-orders were counted elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from graphmerge.certify import count

FILE = Path(__file__).parents[3] / "shared" / "symmetry_answers.json"
ANSWERS = json.loads(FILE.read_text()) if FILE.exists() else {}

pytestmark = pytest.mark.skipif(not ANSWERS, reason="the answers are not here")


@pytest.mark.parametrize("name", ANSWERS)
def test_known_model(name: str) -> None:
    answer = ANSWERS[name]
    settings = {k: v for k, v in answer["config"].items() if k != "model_type"}
    config = getattr(transformers, answer["config_class"])(**settings)
    model = getattr(transformers, answer["model_class"])._from_config(config, attn_implementation="eager").eval()
    inputs = {k: torch.rand(v["rand"]) if isinstance(v, dict) else torch.tensor(v) for k, v in answer["inputs"].items()}
    found = count(model, inputs)
    assert found.log_order == pytest.approx(answer["log_order"], abs=1e-9)
    assert found.slices_log_order == 0
    assert found.slices == ()
