"""The default loss beside the loss that transformers reports, for every kind of model."""

import math
from types import SimpleNamespace

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

from graphmerge.errors import InputError
from graphmerge.evaluate import evaluate
from tests.checkpoint.tiny import bert, gpt2

SMALL = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
BART = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "vocab_size": 29,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def ids(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, 29, shape, generator=torch.Generator().manual_seed(seed))


def made(name: str, config_name: str, **config):
    torch.manual_seed(0)
    model = getattr(transformers, name)(getattr(transformers, config_name)(**config)).eval()
    for parameter in model.parameters():  # as they start, most heads give one loss whatever the labels
        parameter.data = torch.randn_like(parameter) * 0.3
    return model


def bert_classes(**config):
    return made("BertForSequenceClassification", "BertConfig", vocab_size=29, **SMALL, **config)


MODELS = {
    "causal": (lambda: gpt2(), lambda s: {"labels": ids(4, 8, seed=s)}, 28, "nats per token"),
    "masked": (lambda: bert(), lambda s: {"labels": ids(4, 8, seed=s)}, 32, "nats per position"),
    "llama": (
        lambda: made("LlamaForCausalLM", "LlamaConfig", vocab_size=29, num_key_value_heads=1, **SMALL),
        lambda s: {"labels": ids(4, 8, seed=s)},
        28,
        "nats per token",
    ),
    "a decoder that does not shift": (
        lambda: made("BartForCausalLM", "BartConfig", **BART),
        lambda s: {"labels": ids(4, 8, seed=s)},
        32,
        "nats per position",
    ),
    "encoder and decoder": (
        lambda: made("BartForConditionalGeneration", "BartConfig", **BART),
        lambda s: {"labels": ids(4, 6, seed=s)},
        24,
        "nats per position",
    ),
    "t5": (
        lambda: made(
            "T5ForConditionalGeneration",
            "T5Config",
            vocab_size=29,
            d_model=16,
            d_kv=8,
            d_ff=24,
            num_layers=1,
            num_heads=2,
            decoder_start_token_id=0,
        ),
        lambda s: {"labels": ids(4, 6, seed=s)},
        24,
        "nats per position",
    ),
    "tokens in classes": (
        lambda: made("BertForTokenClassification", "BertConfig", vocab_size=29, num_labels=5, **SMALL),
        lambda s: {"labels": ids(4, 8, seed=s) % 5},
        32,
        "nats per position",
    ),
    "classes": (lambda: bert_classes(num_labels=3), lambda s: {"labels": ids(4, seed=s) % 3}, 4, "nats per example"),
    "regression": (
        lambda: bert_classes(num_labels=1),
        lambda s: {"labels": ids(4, seed=s).float()},
        4,
        "squared error",
    ),
    "labels of their own": (
        lambda: bert_classes(num_labels=3, problem_type="multi_label_classification"),
        lambda s: {"labels": (ids(4, 3, seed=s) % 2).float()},
        12,
        "nats per label",
    ),
    "question answering": (
        lambda: made("BertForQuestionAnswering", "BertConfig", vocab_size=29, **SMALL),
        lambda s: {"start_positions": ids(4, seed=s) % 8, "end_positions": ids(4, seed=s + 1) % 8},
        4,
        "loss",
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_equals_the_models_own_loss_on_full_batches(kind):
    make, labels, positions, unit = MODELS[kind]
    model = make()
    batches = [{"input_ids": ids(4, 8, seed=s), **labels(s)} for s in (10, 20)]
    found = evaluate(model, batches)
    with torch.no_grad():
        own = [model(**batch).loss.item() for batch in batches]
    assert found.loss == pytest.approx(sum(own) / 2, rel=1e-5)
    assert own[0] != pytest.approx(own[1], rel=1e-3)
    assert found.positions == 2 * positions
    assert found.unit == unit


def test_images():
    sizes = {"image_size": 8, "patch_size": 4, "num_labels": 3, **SMALL}
    model = made("ViTForImageClassification", "ViTConfig", **sizes)
    batch = {"pixel_values": torch.rand(5, 3, 8, 8), "labels": torch.tensor([0, 1, 2, 2, 1])}
    found = evaluate(model, [batch])
    assert found.loss == pytest.approx(model(**batch).loss.item(), rel=1e-5)
    assert found.positions == 5


def test_half_precision():
    model = gpt2().to(torch.bfloat16)
    batch = {"input_ids": ids(4, 8), "labels": ids(4, 8)}
    found = evaluate(model, [batch])
    assert found.unit == "nats per token"
    assert found.loss == pytest.approx(model(**batch).loss.item(), rel=1e-2)


def by_hand(model, batches, shift: int) -> tuple[float, int]:
    """Mean over all positions that label and mask leave, one by one."""
    losses = []
    for batch in batches:
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch.get("attention_mask")).logits
        for row in range(len(logits)):
            for place in range(shift, logits.shape[1]):
                label = batch["labels"][row, place]
                if label != -100 and batch["attention_mask"][row, place]:
                    losses.append(float(functional.cross_entropy(logits[row, place - shift], label)))
    return sum(losses) / len(losses), len(losses)


@pytest.mark.parametrize(("make", "shift"), [(gpt2, 1), (bert, 0)])
def test_every_position_weighs_the_same_and_padding_nothing(make, shift):
    model = make()
    batches = []
    for seed, rows in enumerate((1, 5, 2)):
        mask = torch.ones(rows, 8, dtype=torch.long)
        mask[0, 5:] = 0
        labels = ids(rows, 8, seed=seed)
        labels[:, 2 : 2 + seed] = -100
        batches.append({"input_ids": ids(rows, 8, seed=seed), "attention_mask": mask, "labels": labels})
    mean, count = by_hand(model, batches, shift)
    found = evaluate(model, batches)
    assert found.positions == count
    assert found.loss == pytest.approx(mean, rel=1e-5)
    batch_means = [by_hand(model, [batch], shift)[0] for batch in batches]
    assert found.loss != pytest.approx(sum(batch_means) / 3, rel=1e-4)


def test_a_causal_model_needs_no_labels():
    batch = {"input_ids": ids(4, 8)}
    with_labels = evaluate(gpt2(), [{**batch, "labels": batch["input_ids"]}])
    assert evaluate(gpt2(), [batch]).loss == with_labels.loss


def test_a_first_batch_without_a_label_chooses_nothing():
    empty = {"input_ids": ids(2, 8), "labels": torch.full((2, 8), -100)}
    full = {"input_ids": ids(2, 8), "labels": ids(2, 8, seed=1)}
    assert evaluate(bert(), [empty, full]).loss == evaluate(bert(), [full]).loss
    with pytest.raises(InputError, match="no position counts: every label is -100 or masked"):
        evaluate(bert(), [empty])


class Own(nn.Module):
    """Reports a loss that no formula gives; counts how often it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 2)

    def forward(self, x, labels=None):
        logits = self.line(x)
        loss = None if labels is None else 2 * functional.cross_entropy(logits, labels) + 1
        return SimpleNamespace(loss=loss, logits=logits)


def test_a_loss_that_no_formula_gives_is_weighted_by_its_labels():
    torch.manual_seed(0)
    model, batches = Own(), [{"x": torch.randn(n, 3), "labels": torch.tensor([1, 0, 1, -100][-n:])} for n in (2, 4)]
    own = [model(**batch).loss.item() for batch in batches]
    found = evaluate(model, batches)
    assert found.loss == pytest.approx((own[0] * 1 + own[1] * 3) / 4)
    assert (found.positions, found.unit) == (4, "loss")
    pairs = [(batch["x"], batch["labels"]) for batch in batches]
    assert evaluate(model, pairs).loss == pytest.approx((own[0] * 2 + own[1] * 4) / 6)  # rows, in a tuple


def test_models_without_a_loss_say_so():
    with pytest.raises(InputError, match=r"BertForMaskedLM reports no loss for these batches .* put labels"):
        evaluate(bert(), [{"input_ids": ids(2, 8)}])
    encoder = transformers.BertModel(transformers.BertConfig(vocab_size=29, **SMALL))
    with pytest.raises(InputError, match="give loss="):
        evaluate(encoder, [{"input_ids": ids(2, 8), "labels": ids(2, 8)}])
    with pytest.raises(InputError, match="Linear reports no loss"):
        evaluate(nn.Linear(3, 2), [(torch.randn(2, 3),)])


def test_loss_functions():
    model = nn.Linear(3, 1)
    batches = [(torch.randn(n, 3), torch.randn(n, 1)) for n in (2, 6)]

    def errors(batch):
        return (model(batch[0]) - batch[1]) ** 2

    expected = torch.cat([errors(b) for b in batches]).mean().item()
    total = evaluate(model, batches, loss=lambda m, b: (errors(b).sum(), len(b[0])))
    mean = evaluate(model, batches, loss=lambda m, b: errors(b).mean())
    number = evaluate(model, batches, loss=lambda m, b: errors(b).mean().item())
    assert total.loss == pytest.approx(expected)
    assert mean.loss == pytest.approx(expected)
    assert number.loss == pytest.approx(expected)
    assert mean.positions == 8
    with pytest.raises(InputError, match=r"returned a tensor of shape \(2, 1\); expected a scalar"):
        evaluate(model, batches, loss=lambda m, b: errors(b))
    with pytest.raises(InputError, match="returned NoneType"):
        evaluate(model, batches, loss=lambda m, b: None)
    with pytest.raises(InputError, match="the loss is nan; check the weights"):
        evaluate(model, batches, loss=lambda m, b: math.nan)
