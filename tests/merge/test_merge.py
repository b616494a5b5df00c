import pytest
import torch

from graphmerge.checkpoint import save_model
from graphmerge.errors import ArchitectureMismatch, InputError
from graphmerge.merge import merge
from tests.checkpoint.tiny import Tied, bert, gpt2, save_tokenizer, saved
from tests.merge.tiny import Mlp, mlp_symmetry, scrambled

X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))


def test_a_model_merged_with_itself_in_another_order_is_itself():
    model = Mlp(0)
    other, back = scrambled(model)
    assert torch.allclose(merge([model, other], back)(X), model(X), atol=1e-6)
    assert not torch.allclose(merge([model, other])(X), model(X), atol=1e-2)


def test_several_models_each_with_its_own_permutations():
    model = Mlp(0)
    (one, back_one), (two, back_two) = scrambled(model, 1), scrambled(model, 2)
    assert torch.allclose(merge([model, one, two], [back_one, back_two])(X), model(X), atol=1e-6)
    assert torch.allclose(merge([model, model, two], [None, back_two])(X), model(X), atol=1e-6)
    assert not torch.allclose(merge([model, one, two], [back_two, back_one])(X), model(X), atol=1e-2)


def test_the_average_by_hand():
    models = [Mlp(s) for s in range(3)]
    merged = merge(models, weights=[0.5, 0.3, 0.2])
    one = [m.one.weight for m in models]
    assert torch.allclose(merged.one.weight, 0.5 * one[0] + 0.3 * one[1] + 0.2 * one[2])
    assert torch.allclose(merge(models).one.weight, sum(one) / 3)
    assert merged.seen == 0


def test_the_result_is_what_the_first_model_is(tmp_path):
    a, b = gpt2(0), gpt2(1)
    average = (a.lm_head.weight + b.lm_head.weight) / 2
    module = merge([a, b.state_dict()])
    assert type(module) is type(a)
    assert torch.allclose(module.lm_head.weight, average)
    assert module.lm_head.weight is module.transformer.wte.weight
    state = merge([a.state_dict(), b])
    assert isinstance(state, dict)
    assert torch.allclose(state["lm_head.weight"], average)
    loaded = merge([saved(a, tmp_path / "a"), str(saved(b, tmp_path / "b"))])
    assert torch.allclose(loaded.lm_head.weight, average)
    assert loaded.lm_head.weight is loaded.transformer.wte.weight


def test_files_give_a_state_dict(tmp_path):
    for seed in (0, 1):
        save_model(Tied(seed), tmp_path / str(seed), provenance={})
    merged = merge([tmp_path / "0" / "model.safetensors", tmp_path / "1" / "model.safetensors"])
    assert torch.allclose(merged["inner.bias"], (Tied(0).inner.bias + Tied(1).inner.bias) / 2)
    assert merged["head.weight"] is merged["embed.weight"]


def test_dtype_and_training_mode_are_the_firsts():
    merged = merge([gpt2(0).to(torch.bfloat16).train(), gpt2(1)])
    assert merged.lm_head.weight.dtype == torch.bfloat16
    assert merged.training


def test_nothing_is_mutated():
    a, b = Mlp(0), Mlp(1)
    before = [{k: v.clone() for k, v in m.state_dict().items()} for m in (a, b)]
    merged = merge([a, b], mlp_symmetry().random(seed=3))
    with torch.no_grad():
        for p in merged.parameters():
            p.zero_()
    for model, state in zip((a, b), before):
        assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": 1}, "takes two models or more; got 1"),
        ({"weights": [1.0]}, "2 models need 2 weights; got 1"),
        ({"weights": [0.5, 0.6]}, r"must sum to 1; \[0\.5, 0\.6\] sum to 1\.1"),
        ({"weights": [float("nan"), 1.0]}, "must be finite"),
        ({"permutations": [None, None]}, "2 models need 1 permutations, one for each after the first; got 2"),
        ({"models": 3, "permutations": mlp_symmetry().identity()}, "3 models need 2 permutations"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    models = [Mlp(s) for s in range(arguments.pop("models", 2))]
    with pytest.raises(InputError, match=message):
        merge(models, **arguments)


def test_models_that_do_not_belong_together(tmp_path):
    with pytest.raises(ArchitectureMismatch, match="model 1 is a GPT2LMHeadModel and model 2 a BertForMaskedLM"):
        merge([gpt2(), bert()])
    with pytest.raises(ArchitectureMismatch, match=r"have no tensor .*, which the symmetry moves"):
        merge([gpt2(0), gpt2(1)], mlp_symmetry().random())
    bad = Mlp(1)
    bad.two.bias.data[2] = float("nan")
    with pytest.raises(InputError, match=r"model 2: two\.bias has 1 NaN entries"):
        merge([Mlp(0), bad])
    paths = [save_tokenizer(saved(gpt2(s), tmp_path / w), [w]) for s, w in enumerate("ab")]
    with pytest.raises(InputError, match="trained with different tokenizers"):
        merge(paths)
