"""The training of the demo's checkpoints, a few steps of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, PreTrainedTokenizerFast

from graphmerge.demo import train as training
from graphmerge.demo.corpus import VOCABULARY
from graphmerge.demo.data import ARCHITECTURES, SEEDS, TOKENIZER, batches, folder, held_out, load_pair
from graphmerge.evaluate import evaluate


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_training_is_repeatable_and_the_seed_decides(arch: str) -> None:
    ids = held_out("calibration")

    def weights(seed: int) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in training.train(arch, seed, ids, steps=2).parameters()])

    first = weights(1)
    assert torch.equal(weights(1), first)
    assert not torch.equal(weights(2), first)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_few_steps_learn_something(
    arch: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "TOKENS", 256)
    model = training.train(arch, 1, held_out("calibration"), steps=100)
    assert not model.training
    assert evaluate(model, batches(arch, "validation", count=2), device="cpu").loss < math.log(VOCABULARY) - 0.3
    assert capsys.readouterr().out.startswith(f"{arch} seed 1 step   100")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_packaged_checkpoints_are_what_the_script_makes(arch: str) -> None:
    for seed, model in zip(SEEDS, load_pair(arch)):
        fresh = training.new_model(arch, seed).state_dict()
        assert {name: t.shape for name, t in model.state_dict().items()} == {n: t.shape for n, t in fresh.items()}


def test_a_checkpoint_holds_the_model_the_tokenizer_and_its_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"This is the docstring of function number {i}, and it says no more than that." for i in range(30)]
    monkeypatch.setattr(training, "docstrings", lambda: texts)
    entry = training.write_checkpoint("gpt2", 5, tmp_path, steps=3)
    assert (entry.arch, entry.seed, entry.steps) == ("gpt2", 5, 3)
    assert 4 < entry.unigram_entropy < entry.validation_loss < 7
    assert {path.name for path in tmp_path.iterdir()} >= {path.name for path in folder("gpt2", 1).iterdir()}
    AutoModel.from_pretrained(tmp_path)
    own = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert own.get_vocab() == PreTrainedTokenizerFast.from_pretrained(TOKENIZER).get_vocab()
