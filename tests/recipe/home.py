"""A folder with two tiny models that are one in two orders, a third, data, and files of a user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import yaml

import graphmerge as gm
from tests.checkpoint.tiny import gpt2, save_tokenizer

OWN = """
import torch
from tests.checkpoint.tiny import Tied
def build():
    return Tied(int(torch.randint(9, ()))), (torch.tensor([[1, 2, 3]]),)
def batches():
    return [{"input_ids": torch.randint(0, 29, (3, 9))} for _ in range(2)]
def loss(model, batch):
    return model(**batch).logits.square().mean()
def ids():
    return [(torch.randint(0, 7, (3, 9)),)]
def sums(model, batch):
    return model(*batch).square().mean()
"""
DATA = {"source": "ids.npy", "batches": 2, "size": 3, "length": 9}


def furnish(folder: Path) -> Path:
    """The folder, furnished: ``b`` is ``a`` in another order, with noise; ``c`` is another model."""
    a = gpt2(1)
    for parameter in a.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    b = gm.trace(a).symmetry().random(seed=3).apply(a)
    for parameter in b.parameters():
        parameter.data += 0.003 * torch.randn_like(parameter)
    for name, model in (("a", a), ("b", b), ("c", gpt2(7))):
        model.save_pretrained(folder / name, max_shard_size="4kB")
        save_tokenizer(folder / name, [f"w{n}" for n in range(28)])
    np.save(folder / "ids.npy", np.random.default_rng(0).integers(0, 29, 500).astype(np.uint16))
    (folder / "words.txt").write_text(" ".join(f"w{n % 28}" for n in range(400)))
    (folder / "own.py").write_text(OWN)
    return folder


def write(folder: Path, name: str = "recipe.yaml", **keys: object) -> Path:
    """A recipe in the folder: a and b, but for the keys given."""
    given = {"recipe": 1, "models": ["a", "b"], "output": "out", "threads": 1} | keys
    (folder / name).write_text(yaml.safe_dump(given, sort_keys=False))
    return folder / name


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
