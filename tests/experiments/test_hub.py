"""The paper's data and fine-tuning, on rows that stand in for the hub's."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from experiments import finetune, hub
from graphmerge.demo.corpus import VOCABULARY
from graphmerge.demo.data import TOKENIZER
from graphmerge.errors import InputError
from graphmerge.evaluate import evaluate

TOKENS = PreTrainedTokenizerFast.from_pretrained(TOKENIZER)
ROWS = [{"sentence1": "a a a a", "sentence2": "b b" * n, "label": n % 2} for n in range(1, 6)]


def test_rows_become_padded_batches_with_labels() -> None:
    batches = hub.encoded(ROWS, hub.COLUMNS["rte"], TOKENS, size=2)
    assert [batch["labels"].tolist() for batch in batches] == [[1, 0], [1, 0], [1]]
    first = batches[0]
    assert first["input_ids"].shape == first["attention_mask"].shape
    assert first["attention_mask"].sum(1).diff().item() > 0  # the second row is longer: the first is padded


def test_numbers_stay_numbers_and_rows_without_labels_have_none() -> None:
    (numbers,) = hub.encoded([{"sentence1": "a", "sentence2": "b", "label": 2.5}], hub.COLUMNS["stsb"], TOKENS, 4)
    assert numbers["labels"].dtype == torch.float32
    (bare,) = hub.encoded([{"text": "a"}], ("text",), TOKENS, 4)
    assert "labels" not in bare


def test_a_task_is_read_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def rows(name: str, config: str | None, split: str, revision: str | None = None) -> list[dict[str, Any]]:
        asked.append((name, config, split))
        return [{"premise": "a", "hypothesis": "b", "label": 2}] * 50

    monkeypatch.setattr(hub, "hub_rows", rows)
    monkeypatch.setattr(hub, "ROWS", {"train": 40, "validation": 10})
    monkeypatch.setattr(hub.AutoTokenizer, "from_pretrained", lambda _: TOKENS)
    assert sum(len(batch["labels"]) for batch in hub.mnli_validation()) == 10
    assert asked == [("nyu-mll/glue", "mnli", "validation_matched")]


def test_without_the_package_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="nyu-mll/glue needs the package datasets"):
        hub.task_rows("rte", "train")


def test_every_epoch_has_every_batch_once_in_another_order() -> None:
    batches = [{"labels": torch.tensor([n])} for n in range(20)]
    draw = finetune.shuffled_epochs(batches, seed=0)
    drawn = [int(draw(step)["labels"]) for step in range(40)]
    assert sorted(drawn[:20]) == sorted(drawn[20:]) == list(range(20))
    assert drawn[:20] != drawn[20:]


def test_fine_tuning_learns_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "RATE", 2e-3)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForSequenceClassification(BertConfig(vocab_size=VOCABULARY, num_labels=2, **shape))
    rows = [{"sentence": "zero" if n % 2 else "another", "label": n % 2} for n in range(40)]
    batches = hub.encoded(rows, hub.COLUMNS["sst2"], TOKENS, size=8)
    before = evaluate(model, batches, device="cpu").loss
    assert evaluate(finetune.finetune(model, batches, 30, 0, "sst2"), batches, device="cpu").loss < before / 2
