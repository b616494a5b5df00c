"""Trains one of the demo's checkpoints: ``python -m graphmerge.demo.train --arch gpt2 --seed 1 --out DIR``.

One CPU thread and a few minutes a model. A masked language model of this size stays for long at a loss that token
frequencies alone reach, because attention must first find the neighbours of the masked token. Short windows leave it
few places to look at, so training begins with them, placed anywhere so that every position is learnt.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from graphmerge.demo.corpus import SEPARATOR, VOCABULARY, docstrings, encode, parts, shuffled
from graphmerge.demo.data import (
    ARCHITECTURES,
    TOKENIZER,
    TRAINING_FILE,
    WINDOW,
    Training,
    held_out,
    labelled,
    unigram_entropy,
    windows,
)
from graphmerge.evaluate import evaluate

WIDTH, LAYERS, HEADS = 96, 2, 4
TOKENS = 1024  # of a step
SHORT_WINDOWS = ((0.2, 16), (0.4, 32))  # up to this share of the steps, windows of this length; WINDOW afterwards
WARM_UP = 200  # steps
DECAY = 0.05  # of matrices; biases and gains do not decay
VALIDATION_BATCHES, VALIDATION_ROWS = 32, 32

Draw = Callable[[int], dict[str, torch.Tensor]]  # the inputs of a step


@dataclass(frozen=True)
class Recipe:
    """What differs between the architectures."""

    steps: int
    learning_rate: float  # at its peak; it rises in a line and falls along a cosine


RECIPES = {
    # longer lowers the losses, but raises the barrier of the pair more
    "gpt2": Recipe(steps=800, learning_rate=3e-3),
    # it leaves the plateau at about step 2,200, in windows of 32; with 4,000 steps in all it does not
    "bert": Recipe(steps=6000, learning_rate=2e-3),
}


def new_model(arch: str, seed: int) -> PreTrainedModel:
    """The untrained model that the seed initialises; without dropout, for there is too little time to overfit."""
    torch.manual_seed(seed)
    if arch == "gpt2":
        config = GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=WINDOW,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=HEADS,
            embd_pdrop=0.0,
            resid_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=SEPARATOR,
            eos_token_id=SEPARATOR,
        )
        return GPT2LMHeadModel(config)
    config = BertConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=WINDOW,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForMaskedLM(config)


def train(arch: str, seed: int, ids: np.ndarray, steps: int) -> PreTrainedModel:
    """A model trained on random windows of ``ids``; ``seed`` sets its first weights and the order of the windows."""
    draw = text_draw(arch, seed, ids, steps)
    return fit(new_model(arch, seed), draw, steps, RECIPES[arch].learning_rate, f"{arch} seed {seed}")


def text_draw(arch: str, seed: int, ids: np.ndarray, steps: int) -> Draw:
    """Random windows of ``ids`` as the inputs of each step: short ones first, placed anywhere."""
    rng = np.random.default_rng(seed)

    def draw(step: int) -> dict[str, torch.Tensor]:
        length = next((short for share, short in SHORT_WINDOWS if step < share * steps), WINDOW)
        batch = labelled(arch, windows(ids, TOKENS // length, length, rng), rng)
        first = int(rng.integers(0, WINDOW - length + 1))
        return {**batch, "position_ids": torch.arange(first, first + length)[None]}

    return draw


def fit(model: PreTrainedModel, draw: Draw, steps: int, learning_rate: float, name: str) -> PreTrainedModel:
    """The model trained in place by AdamW, in eval mode; every 100 steps their mean loss is printed behind ``name``.

    Args:
        draw: the inputs of a step, labels among them.
        learning_rate: at its peak.
    """
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    start, recent = time.perf_counter(), []
    model.train()
    for step in range(steps):
        loss = model(**draw(step)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _share_of_peak(step, steps)
        optimizer.step()
        optimizer.zero_grad()
        recent.append(loss.item())
        if (step + 1) % 100 == 0:
            seconds = time.perf_counter() - start
            print(f"{name} step {step + 1:5} {seconds:6.0f} s  loss {np.mean(recent):.3f}", flush=True)
            recent.clear()
    return model.eval()


def _share_of_peak(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARM_UP) * max(0.01, 0.5 * (1 + math.cos(math.pi * step / steps)))


def write_checkpoint(arch: str, seed: int, out: Path, steps: int) -> Training:
    """Train a model on the docstrings of this Python's library and save it with its tokenizer and its loss."""
    ids = training_ids(seed)
    start = time.perf_counter()
    model = train(arch, seed, ids, steps)
    return save_text_model(model, arch, seed, out, steps, time.perf_counter() - start)


def training_ids(seed: int) -> np.ndarray:
    """The ids of the training part of the docstrings of this Python's library, in an order of the seed's: (tokens,)."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(TOKENIZER)
    return encode(tokenizer, shuffled(parts(docstrings())["train"], seed)).astype(np.int64)


def save_text_model(model: PreTrainedModel, arch: str, seed: int, out: Path, steps: int, seconds: float) -> Training:
    """Measure a trained model on the validation text and save it with its tokenizer and what was measured."""
    rng, ids = np.random.default_rng(0), held_out("validation")
    validation = (labelled(arch, windows(ids, VALIDATION_ROWS, WINDOW, rng), rng) for _ in range(VALIDATION_BATCHES))
    loss = evaluate(model, validation, device="cpu").loss
    training = Training(arch, seed, round(loss, 4), round(unigram_entropy(ids), 4), steps, round(seconds, 1))
    model.save_pretrained(out)
    shutil.copytree(TOKENIZER, out, dirs_exist_ok=True)
    (out / TRAINING_FILE).write_text(json.dumps(asdict(training), indent=2) + "\n")
    return training


def main() -> None:
    """Train one of the demo's checkpoints."""
    parser = argparse.ArgumentParser(prog="python -m graphmerge.demo.train", description=main.__doc__)
    parser.add_argument("--arch", choices=ARCHITECTURES, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of the first weights and of the order of the data")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--steps", type=int, help="instead of the architecture's own number")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(write_checkpoint(given.arch, given.seed, given.out, given.steps or RECIPES[given.arch].steps))


if __name__ == "__main__":
    main()
