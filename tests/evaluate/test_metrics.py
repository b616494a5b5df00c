"""Metrics against numbers computed by hand, over batches of different sizes."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

from graphmerge.errors import InputError
from graphmerge.evaluate import GLUE, METRICS, barrier, evaluate, named_metrics
from tests.checkpoint.tiny import bert, gpt2

# guessed class, true class: 4 right of 7; class 1: TP 2, FP 1, FN 2, TN 2
GUESSED = [[1, 0, 1, 0], [1, 0], [0]]
TRUE = [[1, 0, 0, 1], [1, 1], [0]]


class Guess(nn.Module):
    """Says the class that the batch says; its loss is the cross-entropy. ``tilt`` is added to the logits of class 1."""

    def __init__(self, tilt: float = 0.0, classes: int = 2) -> None:
        super().__init__()
        self.tilt, self.classes = nn.Parameter(torch.tensor([0.0, tilt])), classes

    def forward(self, guess, labels=None):
        logits = 2.0 * functional.one_hot(guess, self.classes).float()
        logits = logits + functional.pad(self.tilt, (0, self.classes - 2))
        loss = None if labels is None else functional.cross_entropy(logits.flatten(0, -2), labels.flatten())
        return SimpleNamespace(logits=logits, loss=loss)


class Number(nn.Module):
    """Says the number that the batch says, times ``w``; its loss is the squared error."""

    def __init__(self, w: float = 1.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x, labels=None):
        logits = self.w * x[:, None]
        return SimpleNamespace(logits=logits, loss=functional.mse_loss(logits[:, 0], labels))


def guesses(guessed=GUESSED, true=TRUE) -> list[dict[str, torch.Tensor]]:
    return [{"guess": torch.tensor(g), "labels": torch.tensor(t)} for g, t in zip(guessed, true)]


def numbers(guessed: list[list[float]], true: list[list[float]]) -> list[dict[str, torch.Tensor]]:
    return [{"x": torch.tensor(g), "labels": torch.tensor(t)} for g, t in zip(guessed, true)]


BY_HAND = {
    "accuracy": 4 / 7,
    "f1": 2 * 2 / (2 * 2 + 1 + 2),
    "f1_macro": (2 * 2 / (2 * 2 + 1 + 2) + 2 * 2 / (2 * 2 + 2 + 1)) / 2,
    "matthews": (2 * 2 - 1 * 2) / math.sqrt((2 + 1) * (2 + 2) * (2 + 1) * (2 + 2)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_classes(name):
    found = evaluate(Guess(), guesses(), metrics=[name]).metrics
    assert found == {name: pytest.approx(BY_HAND[name])}


def test_they_are_of_the_whole_data_set_and_no_means_of_batches():
    whole = evaluate(Guess(), guesses(), metrics=list(BY_HAND))
    flat = [[[c for batch in given for c in batch]] for given in (GUESSED, TRUE)]
    one = evaluate(Guess(), guesses(*flat), metrics=list(BY_HAND))
    assert whole.metrics == pytest.approx(dict(one.metrics))
    each = [evaluate(Guess(), [batch], metrics="accuracy").metrics["accuracy"] for batch in guesses()]
    assert each == [0.5, 0.5, 1]
    assert sum(each) / 3 != pytest.approx(whole.metrics["accuracy"])


def test_three_classes():
    """Rows are true classes: [[2, 0, 1], [0, 1, 0], [1, 0, 0]]; class 2 is never right."""
    batch = guesses([[0, 0, 2], [1, 0]], [[0, 0, 0], [1, 2]])
    found = evaluate(Guess(classes=3), batch, metrics="accuracy, f1_macro, matthews").metrics
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["f1_macro"] == pytest.approx((2 * 2 / 6 + 1 + 0) / 3)
    # Gorodkin: (c s - sum p t) / sqrt((s² - sum p²)(s² - sum t²)) with c = 3, s = 5, guessed (3, 1, 1), true (3, 1, 1)
    assert found["matthews"] == pytest.approx((3 * 5 - 11) / (25 - 11))
    with pytest.raises(InputError, match="f1 is of class 1 of two, and there are 3; f1_macro"):
        evaluate(Guess(classes=3), batch, metrics="f1")


def test_numbers():
    data = numbers([[1.0, 2.0, 4.0], [3.0]], [[1.0, 2.0, 9.0], [4.0]])
    found = evaluate(Number(), data, metrics="glue:stsb").metrics
    # of (1, 2, 4, 3) and (1, 2, 9, 4): deviations (-1.5, -.5, 1.5, .5) and (-3, -2, 5, 0)
    assert found["pearson"] == pytest.approx((4.5 + 1 + 7.5 + 0) / math.sqrt(5 * 38), rel=1e-6)
    assert found["spearman"] == pytest.approx(1)
    # ranks (1, 2.5, 2.5, 4) with (2, 1, 3, 4): half the squared distance is ((1)² + 1.5² + .5²)/2 of ranks with a tie
    tied = evaluate(Number(), numbers([[1.0, 2.0, 2.0, 3.0]], [[2.0, 1.0, 3.0, 4.0]]), metrics="spearman").metrics
    assert tied["spearman"] == pytest.approx((0.75 + 0 + 0 + 2.25) / math.sqrt(4.5 * 5))


def test_where_a_metric_is_undefined():
    always = guesses([[0, 0, 0]], [[0, 1, 0]])
    assert evaluate(Guess(), always, metrics="f1, matthews").metrics == {"f1": 0.0, "matthews": 0.0}
    assert evaluate(Number(0.0), numbers([[1.0, 2.0]], [[1.0, 2.0]]), metrics="pearson").metrics == {"pearson": 0.0}
    with pytest.raises(InputError, match="spearman needs labels that differ; those of the 2 examples do not"):
        evaluate(Number(), numbers([[1.0, 2.0]], [[3.0, 3.0]]), metrics="spearman")


# -- of language models ------------------------------------------------------------------------------------------------


def ids(rows: int, length: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randint(29, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_perplexities_and_the_accuracy_of_tokens():
    causal = [{"input_ids": ids(3)}, {"input_ids": ids(1, 5)}]
    found = evaluate(gpt2(), causal, metrics="perplexity, accuracy")
    assert found.metrics["perplexity"] == math.exp(found.loss)
    right = [
        (gpt2()(b["input_ids"]).logits[:, :-1].argmax(-1) == b["input_ids"][:, 1:]).flatten().tolist() for b in causal
    ]
    assert found.metrics["accuracy"] == sum(sum(r) for r in right) / 25
    labels = ids(3, seed=1).masked_fill(torch.rand(3, 8, generator=torch.Generator().manual_seed(2)) < 0.7, -100)
    empty = {"input_ids": ids(2), "labels": torch.full((2, 8), -100)}
    masked = [empty, {"input_ids": ids(3), "labels": labels}, empty]
    found = evaluate(bert(), masked, metrics="pseudo_perplexity, accuracy")
    assert found.metrics["pseudo_perplexity"] == math.exp(found.loss)
    guessed, counted = bert()(ids(3)).logits.argmax(-1), labels != -100
    assert found.metrics["accuracy"] == float((guessed == labels)[counted].float().mean())
    with pytest.raises(InputError, match=r"^perplexity is e to a loss in nats per token, .*the other perplexity"):
        evaluate(bert(), masked, metrics="perplexity")
    with pytest.raises(InputError, match=r"^pseudo_perplexity is e to a loss in nats per position, .*the other"):
        evaluate(gpt2(), causal, metrics="pseudo_perplexity")


def test_an_encoder_decoder_has_a_perplexity():
    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 1, "num_heads": 2, "vocab_size": 29}
    config = transformers.T5Config(**sizes, decoder_start_token_id=0, use_cache=False)
    model = transformers.T5ForConditionalGeneration(config).eval()
    found = evaluate(model, [{"input_ids": ids(2), "labels": ids(2, 5, seed=1)}], metrics="perplexity")
    assert found.metrics["perplexity"] == math.exp(found.loss)


def test_a_loss_of_ones_own_says_what_it_compares():
    def loss(model, batch):
        output = model(**batch)
        return output.loss * len(batch["labels"]), len(batch["labels"]), output.logits, batch["labels"]

    assert evaluate(Guess(), guesses(), loss, metrics="accuracy").metrics == {"accuracy": pytest.approx(4 / 7)}
    with pytest.raises(InputError, match=r"accuracy compares .* let it return \(sum, count, logits, labels\)"):
        evaluate(Guess(), guesses(), lambda model, batch: loss(model, batch)[:2], metrics="accuracy")
    with pytest.raises(InputError, match="perplexity is e to a loss in nats per token, and this one is in 'loss'"):
        evaluate(Guess(), guesses(), loss, metrics="perplexity")
    loss.unit = "nats per token"
    found = evaluate(Guess(), guesses(), loss, metrics="perplexity")
    assert found.metrics["perplexity"] == math.exp(found.loss)


def test_a_loss_that_no_formula_gives_leaves_classes_to_compare():
    class Smoothed(Guess):
        def forward(self, guess, labels=None):
            output = super().forward(guess, labels)
            if labels is not None:
                output.loss = functional.cross_entropy(output.logits, labels, label_smoothing=0.3)
            return output

    assert evaluate(Smoothed(), guesses(), metrics="accuracy").metrics == {"accuracy": pytest.approx(4 / 7)}


def test_metrics_of_the_wrong_kind():
    with pytest.raises(InputError, match=r"accuracy compares guessed with true classes; here are logits \(2,\)"):
        evaluate(Number(), numbers([[1.0, 2.0]], [[1.0, 2.0]]), metrics="accuracy")
    with pytest.raises(InputError, match=r"pearson compares numbers with numbers, .*here are logits \(4, 2\)"):
        evaluate(Guess(), guesses(), metrics="pearson")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("acuracy", "no metric 'acuracy'; did you mean 'accuracy'"),
        ("glue:mprc", "no metric 'glue:mprc'; did you mean 'glue:mrpc'"),
        (["x" * 5], "no metric 'xxxxx'; there are perplexity"),
        ("", "no metric ''"),
    ],
)
def test_unknown_metrics(given, message):
    with pytest.raises(InputError, match=message):
        named_metrics(given)


def test_the_tasks_of_glue():
    assert len(GLUE) == 9
    assert {name for names in GLUE.values() for name in names} <= set(METRICS)
    assert named_metrics(f"glue:{task}" for task in GLUE) == ("matthews", "accuracy", "f1", "pearson", "spearman")


# -- on a line ---------------------------------------------------------------------------------------------------------


def test_the_curve_of_a_metric_and_its_barrier():
    """Logits of 2 for what is said; tilted by ±3, one class is said always."""
    a, b = Guess(3.0), Guess(-3.0)
    data = guesses([[0, 1, 1, 0]], [[0, 1, 1, 1]])
    curve = barrier(a, b, data, points=5, metrics="accuracy")
    assert curve.metrics == curve.vanilla_metrics == {"accuracy": (0.75, 0.75, 0.75, 0.75, 0.25)}
    found = curve.of("accuracy")
    assert found.label == "accuracy"
    assert found.losses == (0.75, 0.75, 0.75, 0.75, 0.25)
    assert found.barrier == 0  # it is above the chord, which is good
    assert barrier(b, a, data, points=5, metrics="accuracy").of("accuracy").excess[1:-1] == (-0.375, -0.25, -0.125)
    assert type(curve).from_json(curve.to_json()) == curve
    with pytest.raises(InputError, match="'f1' was not measured on this line; there are accuracy"):
        curve.of("f1")
    with pytest.raises(InputError, match="a curve of 3 points has 1 of accuracy"):
        type(curve)((0, 0.5, 1), (1, 1, 1), None, 1, 0.0, metrics={"accuracy": (1,)})


def test_a_metric_that_falls_below_the_chord_has_a_barrier():
    curve = barrier(Guess(0.0), Guess(0.0), guesses(), points=3, metrics="accuracy")
    low = type(curve)((0, 0.5, 1), (1, 1, 1), None, 1, 0.0, metrics={"accuracy": (0.9, 0.5, 0.7)})
    assert low.of("accuracy").barrier == pytest.approx(0.3)
    high = type(curve)((0, 0.5, 1), (1, 1, 1), None, 1, 0.0, metrics={"perplexity": (9, 20, 7)})
    assert high.of("perplexity").barrier == pytest.approx(12)
