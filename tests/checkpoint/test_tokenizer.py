import json

import pytest

from graphmerge.checkpoint import tokenizer_identity
from tests.checkpoint.tiny import save_tokenizer

BPE = {
    "version": "1.0",
    "truncation": None,
    "added_tokens": [{"id": 3, "content": "<s>"}],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
}


def fast(folder, **changes):
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(BPE | changes))
    return tokenizer_identity(folder)


def test_no_tokenizer(tmp_path):
    assert tokenizer_identity(tmp_path) is None


def test_a_real_one_equals_itself_and_differs_from_others(tmp_path):
    one, again = (tokenizer_identity(save_tokenizer(tmp_path / n, ["x", "y"])) for n in "ab")
    other = tokenizer_identity(save_tokenizer(tmp_path / "c", ["y", "x"]))
    assert one == again
    assert one.difference(again) is None
    assert one.difference(other) == "their vocabularies are equally large but give tokens other ids"


def test_what_does_not_change_the_ids_is_no_difference(tmp_path):
    plain = fast(tmp_path / "a")
    padded = fast(tmp_path / "b", truncation={"max_length": 4}, version="2.0")
    pairs = fast(tmp_path / "c", model={"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]})
    assert plain == padded == pairs


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"pre_tokenizer": None}, "they share a vocabulary but differ in their algorithm"),
        ({"added_tokens": []}, "their vocabularies have 4 and 3 entries"),
        ({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": []}}, "they share a vocabulary but"),
    ],
)
def test_what_changes_them_is(tmp_path, changes, difference):
    assert fast(tmp_path / "a").difference(fast(tmp_path / "b", **changes)).startswith(difference)


def test_unigram_scores_count(tmp_path):
    one, other = (
        fast(tmp_path / str(s), model={"type": "Unigram", "vocab": [["a", s], ["b", -1.0]]}) for s in (-2.0, -3.0)
    )
    assert one.entries == 3
    assert one.difference(other) == "they share a vocabulary but differ in their algorithm"


def test_old_files_compare_with_new_ones(tmp_path):
    new = fast(tmp_path / "new")
    old = tmp_path / "old"
    old.mkdir()
    (old / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2}))
    (old / "merges.txt").write_text("#version: 0.2\na b\n")
    (old / "added_tokens.json").write_text(json.dumps({"<s>": 3}))
    assert new.difference(tokenizer_identity(old)) is None
    (old / "merges.txt").write_text("#version: 0.2\nb a\n")
    assert new.difference(tokenizer_identity(old)) == "they share a vocabulary but differ in their merges"
    words = tmp_path / "words"
    words.mkdir()
    (words / "vocab.txt").write_text("a\nb\n")
    assert tokenizer_identity(words).entries == 2


def test_sentencepiece_is_compared_as_a_file(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.model").write_bytes(name.encode())
    one, other = (tokenizer_identity(tmp_path / name) for name in "ab")
    assert one.difference(other) == "they share a vocabulary but differ in their sentencepiece"
