"""The text of the demo, from a small tree of Python files."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from graphmerge.demo.corpus import (
    HELD_OUT_BUCKETS,
    SEPARATOR,
    SPECIALS,
    docstrings,
    encode,
    part_of,
    parts,
    shuffled,
    train_tokenizer,
)

LONG = "Return the number of apples in the basket, counted twice."
OTHER = "Raise an error where there is no basket, and say which one."


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "b.py": f'"""{LONG}"""\n\ndef f():\n    """{OTHER}"""\n\nclass C:\n    """short"""\n',
        "a/first.py": f'def g():\n    """Put   the\n    apples\n    into the basket one by one: {LONG}"""\n',
        "a/again.py": f'"""{OTHER}"""\n',
        "umlaut.py": '"""Gibt die Anzahl der Äpfel im Korb zurück, doppelt gezählt."""\n',
        "broken.py": f'"""{LONG} Never read."""\ndef (:\n',
        "test/skipped.py": f'"""{LONG} This is a test."""\n',
        "site-packages/skipped.py": f'"""{LONG} This is installed."""\n',
        "notes.txt": f'"""{LONG} This is no Python."""\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_docstrings_come_once_in_the_order_of_files_and_lines(tree: Path) -> None:
    first = f"Put the apples into the basket one by one: {LONG}"
    assert docstrings(tree) == [OTHER, first, LONG]  # a/again.py, a/first.py, b.py


def test_docstrings_are_the_same_on_every_call(tree: Path) -> None:
    assert docstrings(tree) == docstrings(tree)


def test_a_text_falls_into_the_same_part_whatever_else_there_is() -> None:
    texts = [f"This is the docstring of function number {i}." for i in range(400)]
    split = parts(texts)
    assert split == {part: [t for t in texts if part_of(t) == part] for part in ("train", *HELD_OUT_BUCKETS)}
    assert sorted(chain.from_iterable(split.values())) == sorted(texts)
    assert {part: len(split[part]) / 400 for part in HELD_OUT_BUCKETS} == pytest.approx(
        {"calibration": 0.14, "validation": 0.14}, abs=0.05
    )


def test_another_seed_draws_other_parts() -> None:
    texts = [f"This is the docstring of function number {i}." for i in range(50)]
    assert [part_of(t, seed=1) for t in texts] != [part_of(t) for t in texts]


def test_the_order_of_texts_depends_on_the_seed() -> None:
    texts = [str(i) for i in range(20)]
    assert shuffled(texts, 1) == shuffled(texts, 1)
    assert shuffled(texts, 1) != shuffled(texts, 2)
    assert sorted(shuffled(texts, 1)) == sorted(texts)


def test_tokenizer_is_deterministic_and_loses_nothing() -> None:
    tokenizers = [train_tokenizer([LONG, OTHER] * 10, vocabulary=130) for _ in range(2)]
    first, again = (tokenizer.get_vocab() for tokenizer in tokenizers)
    assert first == again
    assert len(first) == 130
    assert [tokenizers[0].convert_tokens_to_ids(name) for name in SPECIALS] == [0, 1, 2, 3, 4]
    text = "Never seen: x_1 = {'~': 2}"
    assert tokenizers[0].decode(tokenizers[0](text)["input_ids"]) == text


def test_encoded_texts_end_with_a_separator() -> None:
    tokenizer = train_tokenizer([LONG, OTHER], vocabulary=110)
    ids = encode(tokenizer, [LONG, OTHER])
    assert ids.dtype == np.uint16
    assert np.flatnonzero(ids == SEPARATOR).tolist() == [len(tokenizer(LONG)["input_ids"]), len(ids) - 1]
