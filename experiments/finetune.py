"""Fine-tunes a model on a task of GLUE, over the network: ``python -m experiments.finetune --task rte --seed 1 ...``.

The paper's settings: a learning rate of 2e-5, three epochs (five for MRPC), 128 tokens, batches of 8. The optimiser is
that of `graphmerge.demo.train`, whose rate rises over the first steps and falls along a cosine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from experiments.hub import COLUMNS, LABELS, TOKENIZER, Batch, encoded, task_rows
from graphmerge.demo.train import Draw, fit

RATE, SIZE = 2e-5, 8
EPOCHS = {"mrpc": 5}
USUAL_EPOCHS = 3


def shuffled_epochs(batches: list[Batch], seed: int) -> Draw:
    """The batches of one epoch after the other as the inputs of each step, every epoch in an order of its own."""
    rng, order = np.random.default_rng(seed), list[int]()

    def draw(step: int) -> Batch:
        if step % len(batches) == 0:
            order[:] = rng.permutation(len(batches)).tolist()
        return batches[order[step % len(batches)]]

    return draw


def finetune(model: PreTrainedModel, batches: list[Batch], epochs: int, seed: int, name: str) -> PreTrainedModel:
    """The model fine-tuned in place on batches with labels."""
    return fit(model, shuffled_epochs(batches, seed), epochs * len(batches), RATE, name)


def main() -> None:
    """Fine-tune a model on a task of GLUE."""
    parser = argparse.ArgumentParser(prog="python -m experiments.finetune", description=main.__doc__)
    parser.add_argument("--task", choices=COLUMNS, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of MultiBERTs, of the classifier and of the batches")
    parser.add_argument("--model", help="instead of google/multiberts-seed_N")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    given = parser.parse_args()
    source = given.model or f"google/multiberts-seed_{given.seed}"
    torch.manual_seed(given.seed)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    rows = list(task_rows(given.task, "train"))
    np.random.default_rng(given.seed).shuffle(rows)  # so that batches are no runs of the file
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=LABELS.get(given.task, 2))
    batches = encoded(rows, COLUMNS[given.task], tokenizer, SIZE)
    epochs = EPOCHS.get(given.task, USUAL_EPOCHS)
    finetune(model, batches, epochs, given.seed, f"{given.task} seed {given.seed}").save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)


if __name__ == "__main__":
    main()
