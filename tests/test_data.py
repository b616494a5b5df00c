"""Batches from files, and files that hold none."""

import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from graphmerge.checkpoint import load_model
from graphmerge.data import Sampling, load_data, load_loss
from graphmerge.errors import InputError
from tests.checkpoint.tiny import bert, gpt2, save_tokenizer, saved

SMALL = Sampling(count=2, size=3, length=5)


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    words = [f"w{i}" for i in range(28)]
    return load_model(save_tokenizer(saved(gpt2(), tmp_path_factory.mktemp("causal")), words))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=29, max_position_embeddings=16, id2label={0: "bad", 1: "good"}, **sizes)
    folder = saved(BertForSequenceClassification(config), tmp_path_factory.mktemp("classifier"))
    folder = save_tokenizer(folder, [f"w{i}" for i in range(28)])
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"pad_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return load_model(folder)


def rows(path, *labels):
    """A file of one row a label; the texts grow by a word from row to row."""
    found = [{"text": "w1 w2 w3"[: 2 + 3 * n], "label": label} for n, label in enumerate(labels)]
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def test_text_and_ids_give_the_same_windows(causal, tmp_path):
    ids = np.random.default_rng(0).integers(1, 29, 40)
    np.save(tmp_path / "ids.npy", ids.astype(np.uint16))
    (tmp_path / "text.txt").write_text(" ".join(f"w{i - 1}" for i in ids))
    first, second = (load_data(tmp_path / name, causal, SMALL) for name in ("ids.npy", "text.txt"))
    assert len(first) == 2
    assert first[0]["input_ids"].shape == (3, 5)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one["input_ids"], other["input_ids"])
        assert torch.equal(one["labels"], one["input_ids"])


def test_masked_models_get_masks_that_a_seed_decides(tmp_path):
    folder = save_tokenizer(saved(bert(), tmp_path / "bert"), [f"w{i}" for i in range(28)])
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"mask_token": "w4"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    np.save(tmp_path / "ids.npy", np.arange(29).repeat(20))
    model, many = load_model(folder), Sampling(count=1, size=100, length=50)
    (one,), (again,), (other,) = (
        load_data(tmp_path / "ids.npy", model, s) for s in (many, many, Sampling(1, 100, 50, seed=1))
    )
    guessed = one["labels"] != -100
    assert 0.12 < float(guessed.float().mean()) < 0.18
    assert 0.7 < float((one["input_ids"] == 5)[guessed].float().mean()) < 0.9  # of w4
    assert torch.equal(one["labels"], again["labels"])
    assert not torch.equal(one["labels"], other["labels"])


def test_labelled_rows_are_padded_and_their_classes_may_be_named(classifier, tmp_path):
    named, numbered = (load_data(rows(tmp_path / f, *y), classifier, SMALL) for f, y in (
        ("a.jsonl", ("good", "bad", "good", "bad")), ("b.jsonl", (1, 0, 1, 0)),
    ))  # fmt: skip
    assert [batch["labels"].tolist() for batch in named] == [[1, 0, 1], [0]]
    assert [batch["labels"].tolist() for batch in numbered] == [[1, 0, 1], [0]]
    assert named[0]["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", b"\xff\xfe\x00", "is no text in UTF-8"),
        ("a.txt", b"w1 w2", "the data holds 2 tokens; windows of 5 need more"),
        ("a.npy", b"nothing", "is no .npy file of numbers"),
        ("a.jsonl", b"", "holds no rows"),
        ("a.jsonl", b'{"text": "w1"}', r'a.jsonl:1 is no row {"text"'),
        ("a.jsonl", b'{"text": "w1", "label": "fair"}', "no class named 'fair'; its config names bad, good"),
        ("a.jsonl", b'{"text": "w1", "label": {}}', "a label is {}; expected a number"),
        ("a.csv", b"", "is no data that is known"),
    ],
)
def test_files_that_hold_no_data(classifier, causal, tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load_data(tmp_path / name, classifier if name.endswith("jsonl") else causal, SMALL)


def test_ids_beyond_the_vocabulary(causal, tmp_path):
    np.save(tmp_path / "ids.npy", np.full(50, 29))
    with pytest.raises(InputError, match="holds id 29, the model's vocabulary ends at 28"):
        load_data(tmp_path / "ids.npy", causal, SMALL)


@pytest.mark.parametrize("wrong", [Sampling(count=0), Sampling(size=0), Sampling(length=1), Sampling(seed=-1)])
def test_sampling_that_draws_nothing(causal, tmp_path, wrong):
    np.save(tmp_path / "ids.npy", np.arange(29))
    with pytest.raises(InputError, match=r"sampling takes a .* of at least"):
        load_data(tmp_path / "ids.npy", causal, wrong)


def test_functions_of_a_file(causal, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def batches(): return ({'x': i} for i in range(3))\ndef five(): return 5\ndef loss(model, batch): return 7.0\n"
    )
    assert load_data(f"{tmp_path}/mine.py:batches", causal) == [{"x": 0}, {"x": 1}, {"x": 2}]
    with pytest.raises(InputError, match="data is a int; expected a list or loader"):
        load_data(f"{tmp_path}/mine.py:five", causal)
    loss = load_loss(f"{tmp_path}/mine.py:loss")
    assert loss is not None
    assert loss(torch.nn.Identity(), ()) == 7.0
    assert load_loss(None) is None
    with pytest.raises(InputError, match="has no function 'none'; it defines batches, five, loss"):
        load_loss(f"{tmp_path}/mine.py:none")


def test_a_tokenizer_from_elsewhere(tmp_path):
    model = load_model(saved(gpt2(), tmp_path / "bare"))
    (tmp_path / "text.txt").write_text("w1 w2 w3 " * 9)
    with pytest.raises(InputError, match=r"has no tokenizer, which text and masks need; .*--tokenizer"):
        load_data(tmp_path / "text.txt", model, SMALL)
    with pytest.raises(InputError, match="is no directory that holds a tokenizer"):
        load_data(tmp_path / "text.txt", model, Sampling(2, 3, 5, tokenizer=tmp_path))
    words = save_tokenizer(tmp_path / "words", [f"w{i}" for i in range(28)])
    (one, _) = load_data(tmp_path / "text.txt", model, Sampling(2, 3, 5, tokenizer=words))
    assert set(one["input_ids"].flatten().tolist()) == {2, 3, 4}


def test_blocks_follow_each_other_and_what_fills_none_is_left_out(causal, tmp_path):
    ids = np.arange(29)
    np.save(tmp_path / "ids.npy", ids)
    found = load_data(tmp_path / "ids.npy", causal, Sampling(count=9, size=3, length=5, draw="blocks"))
    assert [len(batch["input_ids"]) for batch in found] == [3, 2]
    assert torch.cat([batch["input_ids"] for batch in found]).flatten().tolist() == list(range(25))
    first = load_data(tmp_path / "ids.npy", causal, Sampling(count=1, size=2, length=5, draw="blocks", seed=7))
    assert [batch["input_ids"].flatten().tolist() for batch in first] == [list(range(10))]
    whole = load_data(tmp_path / "ids.npy", causal, Sampling(count=1, size=1, length=29, draw="blocks"))
    assert whole[0]["input_ids"].shape == (1, 29)
    with pytest.raises(InputError, match="holds 29 tokens; windows of 30 need more"):
        load_data(tmp_path / "ids.npy", causal, Sampling(length=30, draw="blocks"))
    with pytest.raises(InputError, match="rows are drawn as windows or blocks, not 'rows'"):
        load_data(tmp_path / "ids.npy", causal, Sampling(draw="rows"))  # pyright: ignore


def test_two_texts_a_row(classifier, tmp_path):
    path = tmp_path / "rows.jsonl"
    pairs = [("w1", "w2 w3", 0), ("w4 w5", "w6", 1)]
    path.write_text("".join(json.dumps({"text": a, "text_pair": b, "label": n}) + "\n" for a, b, n in pairs))
    (batch,) = load_data(path, classifier, SMALL)
    assert batch["input_ids"].tolist() == [[2, 3, 4], [5, 6, 7]]
    path.write_text('{"text": "w1", "label": 0}\n' + path.read_text())
    with pytest.raises(InputError, match=r"has a text_pair in some rows only; give one in every row, or in none"):
        load_data(path, classifier, SMALL)
