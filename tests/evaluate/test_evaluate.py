import pytest
import torch
from torch import nn

from graphmerge.errors import InputError
from graphmerge.evaluate import evaluate
from tests.checkpoint.tiny import gpt2, saved


def batch(rows: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.randint(29, (rows, 8), generator=torch.Generator().manual_seed(seed))}


def test_the_model_is_left_as_it_was():
    model = gpt2(resid_pdrop=0.5).train()
    model.transformer.h[0].eval()
    modes = [m.training for m in model.modules()]
    first = evaluate(model, [batch()], device="cpu")
    assert [m.training for m in model.modules()] == modes
    assert evaluate(model, [batch()], device="cpu").loss == first.loss  # no dropout
    assert all(p.grad is None for p in model.parameters())

    def fail(model, batch):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate(model, [batch()], loss=fail, device="cpu")
    assert [m.training for m in model.modules()] == modes


def test_a_path_and_its_model_give_the_same(tmp_path):
    saved(gpt2(), tmp_path)
    found = evaluate(tmp_path, [batch()])
    assert float(found) == found.loss == evaluate(gpt2(), [batch()]).loss
    assert found.positions == 14
    assert found.seconds > 0


def test_data_may_be_a_generator_or_a_loader():
    batches = [batch(seed=s) for s in range(3)]
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    expected = evaluate(gpt2(), batches).loss
    assert evaluate(gpt2(), (b for b in batches)).loss == expected
    assert evaluate(gpt2(), loader).loss == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "data holds no batch"),
        ({"input_ids": torch.zeros(1, 4)}, r"data is a dict; .*for one batch: \[batch\]"),
        (torch.zeros(1, 4), "data is a Tensor"),
        (3, "data is a int"),
        ([torch.zeros(1, 4)], "a batch is a Tensor; expected a dict"),
        ("text", "a batch is a str"),
    ],
)
def test_data_that_holds_no_batches(data, message):
    with pytest.raises(InputError, match=message):
        evaluate(gpt2(), data)


def test_progress_counts_batches():
    seen = []
    evaluate(gpt2(), [batch(seed=s) for s in range(3)], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_things_in_a_batch_that_are_no_tensors_pass_through():
    class Takes(nn.Module):
        def forward(self, x, name, labels=None):
            assert name == "left"
            return {"logits": x, "loss": nn.functional.cross_entropy(x, labels) if labels is not None else None}

    data = [{"x": torch.randn(4, 3), "name": "left", "labels": torch.tensor([0, 1, 2, 0])}]
    assert evaluate(Takes(), data).positions == 4


def test_batches_that_a_model_cannot_run_are_described():
    ids = torch.tensor([[3, 99]])
    with pytest.raises(
        InputError, match=r"GPT2LMHeadModel cannot run a batch of input_ids \(1×2, 3 to 99\).*IndexError"
    ):
        evaluate(gpt2(), [{"input_ids": ids}])
    with pytest.raises(InputError, match=r"cannot run a batch of argument 0 \(2×5\): RuntimeError: mat1 and mat2"):
        evaluate(nn.Linear(3, 2), [(torch.zeros(2, 5),)])


def test_rows_of_one_token_have_no_next_one():
    data = [{"input_ids": torch.tensor([[3]]), "labels": torch.tensor([[3]])}]
    with pytest.raises(InputError, match=r"no position counts|the loss is nan"):
        evaluate(gpt2(), data)
