"""The text of the demo: the docstrings of Python's standard library, in three parts that never share a docstring.

``python -m graphmerge.demo.corpus`` wrote the tokenizer and the held-out ids under ``assets/``. They are committed, so
that measuring needs neither this script nor a particular Python; only training reads docstrings again.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from graphmerge.errors import InputError

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # their ids are their places: 0 to 4
SEPARATOR = SPECIALS.index("[SEP]")
VOCABULARY = 256  # so small that a masked token can be guessed from its neighbours after a few minutes of training
HELD_OUT_TOKENS = 72_000  # kept of each held-out part
HELD_OUT_BUCKETS = {"calibration": range(0, 14), "validation": range(14, 28)}  # of 100; the rest is training text
SHORTEST = 40  # characters; below it are one-word docstrings, too many of them alike

# Present on some machines only, or no documentation at all.
_SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}


def docstrings(root: Path | None = None) -> list[str]:
    """Every docstring below ``root`` (the running Python's library) once, in the order of files and lines.

    The files are parsed, never imported. White space collapses to single blanks; docstrings that are short or not plain
    ASCII are left out.
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    found: dict[str, None] = {}
    for path in sorted(root.rglob("*.py")):
        if not _SKIPPED_FOLDERS.intersection(path.relative_to(root).parts):
            found.update(dict.fromkeys(_docstrings_of(path)))
    return list(found)


def _docstrings_of(path: Path) -> Iterator[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    try:
        with warnings.catch_warnings():  # old files hold invalid escapes
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # templates and samples that are no Python of this version
        return
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    for node in sorted(nodes, key=lambda node: getattr(node, "lineno", 0)):
        text = " ".join((ast.get_docstring(node, clean=False) or "").split())
        if len(text) >= SHORTEST and text.isascii() and text.isprintable():
            yield text


def part_of(text: str, seed: int = 0) -> str:
    """``calibration``, ``validation`` or ``train``, drawn by a hash of the text itself.

    So a docstring falls into the same part whatever else the library holds: training under another version of Python
    never sees the held-out text.

    >>> part_of("Return True if the keyed message exists, False otherwise.")
    'train'
    """
    digest = hashlib.sha256(f"{seed}:{text}".encode()).digest()
    bucket = int.from_bytes(digest[:8], "big") % 100
    return next((part for part, buckets in HELD_OUT_BUCKETS.items() if bucket in buckets), "train")


def parts(texts: list[str]) -> dict[str, list[str]]:
    """The texts by part, each in the order given."""
    split: dict[str, list[str]] = {"train": [], "calibration": [], "validation": []}
    for text in texts:
        split[part_of(text)].append(text)
    return split


def train_tokenizer(texts: list[str], vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer over printable ASCII whose words carry their leading blank."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    # A blank belongs to the word after it; digits and marks stand alone, so that merges stay inside words.
    pattern = Regex(r" ?[A-Za-z]+| ?[0-9]| ?[^ A-Za-z0-9]| ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern, "isolated")
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIALS),
        initial_alphabet=[chr(code) for code in range(32, 127)],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    names = {f"{name[1:-1].lower()}_token": name for name in SPECIALS}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names)


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> np.ndarray:
    """All texts as one row of ids, each text followed by [SEP]: uint16, (tokens,)."""
    ids: list[int] = []
    for row in tokenizer(texts, add_special_tokens=False)["input_ids"]:
        ids += [*row, SEPARATOR]
    return np.array(ids, dtype=np.uint16)


def shuffled(texts: list[str], seed: int) -> list[str]:
    """The texts in a random order that depends on nothing but ``seed`` and their number."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(texts))
    return [texts[i] for i in order]


def write_assets(out: Path) -> dict[str, int]:
    """Tokenizer and held-out ids into ``out``; the number of tokens that each part holds."""
    split = parts(docstrings())
    tokenizer = train_tokenizer(split["train"])
    tokenizer.save_pretrained(out / "tokenizer")
    sizes = {"train": len(encode(tokenizer, split["train"]))}
    for part in HELD_OUT_BUCKETS:
        ids = encode(tokenizer, shuffled(split[part], seed=0))
        if len(ids) < HELD_OUT_TOKENS:
            raise InputError(
                f"{part}: {len(ids):,} tokens where {HELD_OUT_TOKENS:,} are wanted; is the library complete?"
            )
        np.save(out / f"{part}.npy", ids[:HELD_OUT_TOKENS])
        sizes[part] = HELD_OUT_TOKENS
    return sizes


def main() -> None:
    """Write the tokenizer and the held-out ids again."""
    parser = argparse.ArgumentParser(prog="python -m graphmerge.demo.corpus", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    for part, size in write_assets(parser.parse_args().out).items():
        print(f"{part:12} {size:9,} tokens")


if __name__ == "__main__":
    main()
