import pytest
import torch
from torch import nn

from graphmerge.checkpoint import TokenizerIdentity, check_finite, check_pair
from graphmerge.errors import ArchitectureMismatch, InputError
from tests.checkpoint.tiny import Tied, bert, gpt2


def test_masks_of_infinities_are_no_fault():
    module = Tied()
    assert module.mask.isinf().any()
    check_finite(module)
    check_finite(module.state_dict())


def test_a_buffer_may_not_be_nan():
    module = Tied()
    module.mask[0, 0] = float("nan")
    with pytest.raises(InputError, match="the model: mask has 1 NaN entries of 9"):
        check_finite(module)


def test_an_infinite_weight_is_a_fault_in_module_and_state():
    module = Tied()
    module.inner.bias.data[:] = float("inf")
    for weights in (module, module.state_dict()):
        with pytest.raises(InputError, match=r"x: inner\.bias has 4 infinite entries of 4"):
            check_finite(weights, "x")


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="no float8")
def test_float8_is_checked():
    with pytest.raises(InputError, match="w has 1 NaN"):
        check_finite({"w": torch.tensor([1.0, float("nan")]).to(torch.float8_e4m3fn)})


def test_a_pair_of_one_architecture_passes():
    check_pair(gpt2(0), gpt2(1))
    check_pair(gpt2(0), gpt2(1).to(torch.bfloat16).state_dict())


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (lambda: gpt2(), lambda: bert(), "A is a GPT2LMHeadModel and B a BertForMaskedLM"),
        (lambda: gpt2(), lambda: gpt2(n_head=4), "the configs differ in n_head: 2 in A, 4 in B"),
        (lambda: gpt2(), lambda: gpt2(activation_function="relu"), "the configs differ in activation_function"),
        (
            lambda: gpt2(),
            lambda: gpt2(vocab_size=31),
            r"transformer\.wte\.weight has shape \(29, 16\) in A and \(31, 16\) in B \(and 1 more tensors differ\)",
        ),
        (
            lambda: gpt2(),
            lambda: gpt2(n_layer=1),
            r"B lacks transformer\.h\.1\.ln_1\.weight, .* and 9 more, which A has",
        ),
        (
            lambda: gpt2(n_layer=1),
            lambda: gpt2(),
            r"A lacks transformer\.h\.1\.ln_1\.weight, .* and 9 more, which B has",
        ),
        (
            lambda: {"w": torch.zeros(2, 3)},
            lambda: {"w": torch.zeros(3, 2)},
            r"w has shape \(2, 3\) in A and \(3, 2\) in B$",
        ),
    ],
)
def test_pairs_that_do_not_belong_together(a, b, message):
    with pytest.raises(ArchitectureMismatch, match=message):
        check_pair(a(), b(), names=("A", "B"))


def test_classes_of_a_file_that_was_run_twice_are_the_same():
    def define():
        class Net(nn.Linear):
            pass

        return Net(2, 2)

    check_pair(define(), define())


def test_tokenizers():
    model, small = gpt2(), TokenizerIdentity({"vocabulary": "1"}, 29)
    large, other = TokenizerIdentity({"vocabulary": "2"}, 31), TokenizerIdentity({"vocabulary": "2"}, 29)
    with pytest.raises(InputError, match="different tokenizers: their vocabularies have 29 and 31 entries"):
        check_pair(model, model, tokenizers=(small, large))
    with pytest.raises(InputError, match="equally large but give tokens other ids"):
        check_pair(model, model, tokenizers=(small, other))
    check_pair(model, model, tokenizers=(small, large), allow_different_tokenizers=True)
    check_pair(model, model, tokenizers=(small, None))
    check_pair(model, model, tokenizers=(small, small))
