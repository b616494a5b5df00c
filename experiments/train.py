"""Trains one of the small models of the experiments: ``python -m experiments.train --arch llama --seed 11 --out DIR``.

Text models (bert, gpt2, llama) are trained as the demo's are, on the same text with the same tokenizer, and ViTs on
handwritten digits. One CPU thread and a few minutes a model. No model here is one that ships with the package: the
seeds differ, and GPT-2 is trained longer.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, ViTConfig, ViTForImageClassification

from experiments.digits import CLASSES, SIDE, batch, batches, images, shifted
from graphmerge.demo.corpus import SEPARATOR, VOCABULARY
from graphmerge.demo.data import TRAINING_FILE, WINDOW, Training, unigram_entropy
from graphmerge.demo.train import (
    HEADS,
    LAYERS,
    RECIPES,
    WIDTH,
    Draw,
    Recipe,
    fit,
    new_model,
    save_text_model,
    text_draw,
    training_ids,
)
from graphmerge.evaluate import evaluate

KEY_VALUE_HEADS = 2  # of Llama's 4: each is read by two query heads
GATED = 256  # Llama's feed-forward: three matrices of this width cost what two of 4 * WIDTH do
VISION_WIDTH, VISION_LAYERS, PATCH = 64, 3, 2
IMAGES = 64  # of a step: with 16 patches and the class token, 1,088 tokens

TRAINED = {
    "gpt2": Recipe(steps=4000, learning_rate=3e-3),
    "llama": Recipe(steps=4000, learning_rate=3e-3),
    "vit": Recipe(steps=3000, learning_rate=1e-3),
    "bert": RECIPES["bert"],
}


@dataclass(frozen=True)
class VisionTraining(Training):
    """How a ViT was trained; ``unigram_entropy`` is that of the digits, ``chance`` the share of the commonest one."""

    accuracy: float
    chance: float


def untrained(arch: str, seed: int) -> PreTrainedModel:
    """The model that the seed initialises, without dropout."""
    torch.manual_seed(seed)
    if arch == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=VOCABULARY,
                max_position_embeddings=WINDOW,
                hidden_size=WIDTH,
                intermediate_size=GATED,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                num_key_value_heads=KEY_VALUE_HEADS,
                bos_token_id=SEPARATOR,
                eos_token_id=SEPARATOR,
                tie_word_embeddings=False,
            )
        )
    if arch == "vit":
        return ViTForImageClassification(
            ViTConfig(
                image_size=SIDE,
                patch_size=PATCH,
                num_channels=1,
                id2label={digit: str(digit) for digit in range(CLASSES)},  # which says how many there are
                hidden_size=VISION_WIDTH,
                intermediate_size=4 * VISION_WIDTH,
                num_hidden_layers=VISION_LAYERS,
                num_attention_heads=HEADS,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            )
        )
    return new_model(arch, seed)


def digit_draw(seed: int) -> Draw:
    """Random training images, each shifted anew, as the inputs of a step."""
    rng = np.random.default_rng(seed)
    rows, digits = images("train")

    def draw(step: int) -> dict[str, torch.Tensor]:
        chosen = rng.integers(0, len(digits), IMAGES)
        return batch(shifted(rows[chosen], rng), digits[chosen])

    return draw


def write_model(arch: str, seed: int, out: Path, steps: int) -> Training:
    """Train a model, measure it on the validation part, and save it with what was measured."""
    draw = digit_draw(seed) if arch == "vit" else text_draw(arch, seed, training_ids(seed), steps)
    start = time.perf_counter()
    model = fit(untrained(arch, seed), draw, steps, TRAINED[arch].learning_rate, f"{arch} seed {seed}")
    seconds = time.perf_counter() - start
    save = save_vision_model if arch == "vit" else save_text_model
    return save(model, arch, seed, out, steps, seconds)


def save_vision_model(
    model: PreTrainedModel, arch: str, seed: int, out: Path, steps: int, seconds: float
) -> VisionTraining:
    """Measure a trained model on the validation images and save it with what was measured."""
    rows, digits = images("validation")
    loss = evaluate(model, batches("validation", 1, len(digits)), device="cpu").loss
    with torch.no_grad():
        guesses = model(pixel_values=torch.from_numpy(rows)).logits.argmax(-1).numpy()
    training = VisionTraining(
        arch=arch,
        seed=seed,
        validation_loss=round(loss, 4),
        unigram_entropy=round(unigram_entropy(digits), 4),
        steps=steps,
        seconds=round(seconds, 1),
        accuracy=round(float((guesses == digits).mean()), 4),
        chance=round(float(np.bincount(digits).max() / len(digits)), 4),
    )
    model.save_pretrained(out)
    (out / TRAINING_FILE).write_text(json.dumps(asdict(training), indent=2) + "\n")
    return training


def main() -> None:
    """Train one of the small models that the experiments run on."""
    parser = argparse.ArgumentParser(prog="python -m experiments.train", description=main.__doc__)
    parser.add_argument("--arch", choices=TRAINED, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of the first weights and of the order of the data")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--steps", type=int, help="instead of the architecture's own number")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(write_model(given.arch, given.seed, given.out, given.steps or TRAINED[given.arch].steps))


if __name__ == "__main__":
    main()
