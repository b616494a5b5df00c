"""The packaged checkpoints and held-out text."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast

from graphmerge.demo.corpus import HELD_OUT_TOKENS, SPECIALS, VOCABULARY
from graphmerge.demo.data import (
    ARCHITECTURES,
    ASSETS,
    SEEDS,
    TOKENIZER,
    batches,
    folder,
    held_out,
    load_pair,
    losses,
    unigram_entropy,
)
from graphmerge.errors import InputError
from graphmerge.evaluate import evaluate
from graphmerge.merge import merge

MEGABYTES = 8
MASK = SPECIALS.index("[MASK]")
BARRIER = 0.3  # nats, at the least, for a pair that merging shall help


def test_assets_stay_small() -> None:
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) <= MEGABYTES * 10**6


@pytest.mark.parametrize("split", ["calibration", "validation"])
def test_held_out_ids_are_tokens(split: str) -> None:
    ids = held_out(split)
    assert ids.shape == (HELD_OUT_TOKENS,)
    assert 0 <= ids.min() < ids.max() < VOCABULARY
    assert MASK not in ids


def test_the_splits_share_no_docstring() -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(TOKENIZER)
    texts = [set(tokenizer.decode(held_out(split)).split("[SEP]")[:-1]) for split in ("calibration", "validation")]
    assert min(len(found) for found in texts) > 100
    assert not texts[0] & texts[1]


def test_causal_labels_are_the_ids() -> None:
    (batch,) = batches("gpt2", "validation", count=1, size=3, length=10)
    assert batch["input_ids"].shape == (3, 10)
    assert torch.equal(batch["labels"], batch["input_ids"])


def test_a_seventh_of_the_tokens_is_guessed_and_the_rest_shown() -> None:
    drawn = list(batches("bert", "calibration", count=20))
    ids, labels = (torch.cat([batch[key] for batch in drawn]) for key in ("input_ids", "labels"))
    counted = labels != -100
    assert counted.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (ids[counted] == MASK).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert not (ids[~counted] == MASK).any()
    assert labels[counted].min() >= 0
    assert labels[counted].max() < VOCABULARY


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_seed_decides_the_batches(arch: str) -> None:
    def drawn(**changes: int) -> torch.Tensor:
        asked = {"count": 2, "size": 4, "length": 16, "seed": 0} | changes
        return torch.cat([batch["input_ids"] for batch in batches(arch, "validation", **asked)])

    assert torch.equal(drawn(), drawn())
    assert not torch.equal(drawn(), drawn(seed=1))
    assert torch.equal(drawn(count=3)[:8], drawn())  # a longer run begins alike


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batches("t5", "validation", 1), "no 't5'"),
        (lambda: batches("bert", "train", 1), "no split 'train'; there are calibration and validation"),
        (lambda: batches("bert", "validation", 1, length=65), "windows of 65 tokens"),
        (lambda: folder("bert", 3), "no 'bert' of seed 3"),
        (lambda: load_pair("t5"), "no 't5'"),
    ],
)
def test_wrong_words_are_errors(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_unigram_entropy_of_even_tokens() -> None:
    assert unigram_entropy(np.arange(50).repeat(3)) == pytest.approx(math.log(50))


def test_recorded_losses_are_far_below_word_frequencies() -> None:
    table = losses()
    assert [(entry.arch, entry.seed) for entry in table] == [(arch, seed) for arch in ARCHITECTURES for seed in SEEDS]
    entropy = unigram_entropy(held_out("validation"))
    for entry in table:
        assert entry.unigram_entropy == pytest.approx(entropy, abs=1e-4)
        assert entry.validation_loss < 0.7 * entropy


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_pair_has_learnt_and_its_midpoint_has_not(arch: str) -> None:
    data = list(batches(arch, "validation", count=2))
    pair = load_pair(arch)
    found = [evaluate(model, data, device="cpu").loss for model in pair]
    recorded = [entry.validation_loss for entry in losses() if entry.arch == arch]
    assert found == pytest.approx(recorded, abs=0.25)
    assert not any(model.training for model in pair)
    midpoint = evaluate(merge(list(pair)), data, device="cpu").loss
    assert midpoint - sum(found) / 2 > BARRIER


@pytest.mark.parametrize(("arch", "auto"), [("gpt2", AutoModelForCausalLM), ("bert", AutoModelForMaskedLM)])
def test_checkpoints_load_by_themselves(arch: str, auto: type) -> None:
    for seed, model in zip(SEEDS, load_pair(arch)):
        loaded = auto.from_pretrained(folder(arch, seed))
        assert type(loaded) is type(model)
        assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight


def test_all_checkpoints_hold_one_vocabulary() -> None:
    places = [TOKENIZER, *(folder(arch, seed) for arch in ARCHITECTURES for seed in SEEDS)]
    vocabularies = [PreTrainedTokenizerFast.from_pretrained(place).get_vocab() for place in places]
    assert AutoTokenizer.from_pretrained(folder("bert", 1)).mask_token_id == MASK
    assert len(vocabularies[0]) == VOCABULARY
    assert all(one == other for one, other in combinations(vocabularies, 2))
