"""Merging from files to files gives, bit for bit, what merging in memory gives."""

import json
import os

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    NomicBertConfig,
    NomicBertModel,
    T5Config,
    T5ForConditionalGeneration,
)

import graphmerge as gm
from graphmerge.checkpoint import load_model, open_weights
from graphmerge.checkpoint.shards import read_entries, read_tensor
from graphmerge.errors import ArchitectureMismatch, GraphMergeWarning, InputError
from graphmerge.merge import Part, Shares, write_merged
from tests.checkpoint.tiny import Tied, bert, gpt2, save_tokenizer

SMALL = {"vocab_size": 29, "num_attention_heads": 4}


def llama(seed, **changes):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_key_value_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**SMALL | sizes | {"tie_word_embeddings": True} | changes)).eval()


def t5(seed):
    torch.manual_seed(seed)
    return T5ForConditionalGeneration(T5Config(vocab_size=29, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=4))


def mixtral(seed, experts=3):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_key_value_heads": 2}
    return MixtralForCausalLM(MixtralConfig(**SMALL | sizes, num_local_experts=experts)).eval()


def nomic(seed):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "max_position_embeddings": 31}
    return NomicBertModel(NomicBertConfig(**SMALL | sizes), add_pooling_layer=False).eval()


MODELS = {"gpt2": gpt2, "bert": bert, "llama": llama, "t5": t5}


def written(model, folder, shard="3kB"):
    model.save_pretrained(folder, max_shard_size=shard)
    return folder


def ties(model):
    """The sets of keys that share memory."""
    found = {}
    for key, tensor in model.state_dict().items():
        found.setdefault(tensor.data_ptr(), set()).add(key)
    return list(found.values())


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture(params=["float32", "bfloat16", "float16"])
def dtype(request):
    return getattr(torch, request.param)


def weights_of(folder):
    return {name: data for name, data in files(folder).items() if name.startswith("model")}


@pytest.mark.parametrize("name", MODELS)
def test_bit_for_bit_as_in_memory(name, dtype, tmp_path):
    a, b = (MODELS[name](seed).to(dtype) for seed in (1, 2))
    p = gm.trace(a).symmetry().random(seed=3)
    written(a, tmp_path / "a"), written(b, tmp_path / "b", "5kB")
    expected = gm.merge([a, b], permutations=p, weights=[0.3, 0.7])
    parts = [Part(open_weights(tmp_path / "a")), Part(open_weights(tmp_path / "b"), p)]
    assert all(part.weights.loaded.model.device.type == "meta" for part in parts)
    write_merged(parts, Shares((0.3, 0.7)), tmp_path / "out", provenance={})
    written(expected, tmp_path / "expected")
    assert weights_of(tmp_path / "out") == weights_of(tmp_path / "expected")
    assert len(weights_of(tmp_path / "out")) > 3
    again = type(a).from_pretrained(tmp_path / "out", dtype="auto")
    assert again.dtype == dtype
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in expected.state_dict().items())
    assert ties(again) == ties(a)
    assert any(len(keys) > 1 for keys in ties(a))


def test_permuting_is_merging_one(tmp_path, dtype):
    a = llama(1).to(dtype)
    p = gm.trace(a).symmetry().random(seed=3)
    written(a, tmp_path / "a"), written(p.apply(a), tmp_path / "expected")
    write_merged([Part(open_weights(tmp_path / "a"), p)], Shares((1.0,)), tmp_path / "out", provenance={})
    assert weights_of(tmp_path / "out") == weights_of(tmp_path / "expected")


def test_what_comes_along(tmp_path):
    a = gpt2(1, do_sample=None)
    a.generation_config.max_length = 17
    written(a, tmp_path / "a")
    save_tokenizer(tmp_path / "a", ["hello", "world"])
    (tmp_path / "a" / "README.md").write_text("about A")
    write_merged([Part(open_weights(tmp_path / "a"))], Shares((1.0,)), tmp_path / "out", provenance={})
    before, after = files(tmp_path / "a"), files(tmp_path / "out")
    assert before.keys() - after.keys() == {"README.md"}
    assert after.keys() - before.keys() == {"graphmerge.json"}
    assert all(after[name] == data for name, data in before.items() if name in after)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").generation_config.max_length == 17


@pytest.mark.parametrize("size", [10**9, 4000, 1])
def test_files_of_another_size(tmp_path, size):
    a = llama(1)
    written(a, tmp_path / "a")
    weights = open_weights(tmp_path / "a")
    write_merged([Part(weights)], Shares((1.0,)), tmp_path / "out", provenance={}, shard_size=size)
    found = sorted(name for name in weights_of(tmp_path / "out") if name.endswith(".safetensors"))
    if size == 10**9:
        assert found == ["model.safetensors"]
        assert "model.safetensors.index.json" not in files(tmp_path / "out")
    else:
        assert len(found) > 3
        assert len(found) == len(weights.entries) or size > 1
        index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
        assert sorted(set(index["weight_map"].values())) == found
        assert index["metadata"]["total_size"] == sum(e.length for e in weights.entries.values())
    again = load_model(tmp_path / "out").model.state_dict()
    assert all(torch.equal(v, again[k]) for k, v in a.state_dict().items())


def test_a_factory_is_merged_in_memory(tmp_path):
    a, b = Tied(1), Tied(2)
    write_merged([Part(open_weights(a)), Part(open_weights(b))], Shares((0.5, 0.5)), tmp_path / "out", provenance={})
    expected = gm.merge([a, b]).state_dict()
    found = gm.checkpoint.load_state(tmp_path / "out")
    assert all(torch.equal(v, found[k]) for k, v in expected.items())
    assert found["head.weight"].data_ptr() == found["embed.weight"].data_ptr()


CONVERTED = {
    # in files the matrices of every expert are apart, in the class stacked, w1 and w3 of each as one
    "experts": (mixtral, "experts.2.w3.weight", "experts.gate_up_proj"),
    # in files queries, keys and values are one matrix, in the class three
    "projections": (nomic, "attn.Wqkv.weight", "self_attn.k_proj.weight"),
}


@pytest.mark.parametrize("size", [None, 4000])
@pytest.mark.parametrize("name", CONVERTED)
def test_tensors_that_the_class_takes_in_another_form(name, size, dtype, tmp_path, recwarn):
    """They are read from the files a few at a time; what is written is in the form and under the names of the files."""
    build, stored, taken = CONVERTED[name]
    a, b = (build(seed).to(dtype) for seed in (1, 2))
    p = gm.trace(a).symmetry().random(seed=3)
    written(a, tmp_path / "a"), written(b, tmp_path / "b", "5kB")
    parts = [Part(open_weights(tmp_path / "a")), Part(open_weights(tmp_path / "b"), p)]
    assert not [str(w.message) for w in recwarn if issubclass(w.category, GraphMergeWarning)]
    assert any(name.endswith(stored) for name in parts[0].weights.entries)
    assert any(key.endswith(taken) for key in parts[0].weights.sources)
    assert not any(name.endswith(taken) for name in parts[0].weights.entries)
    write_merged(parts, Shares((0.3, 0.7)), tmp_path / "out", provenance={}, shard_size=size)
    expected = gm.merge([a, b], permutations=p, weights=[0.3, 0.7])
    written(expected, tmp_path / "expected")
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")
    assert size or weights_of(tmp_path / "out") == weights_of(tmp_path / "expected")
    again = type(a).from_pretrained(tmp_path / "out", dtype="auto").state_dict()
    assert all(torch.equal(v, again[k]) for k, v in expected.state_dict().items())


def contents(folder):
    """The bytes of every stored tensor."""
    entries = read_entries(sorted(folder.glob("*.safetensors")))
    return {name: bytes(read_tensor(entry).reshape(-1).view(torch.uint8).numpy()) for name, entry in entries.items()}


def test_two_models_in_different_forms(tmp_path):
    a, b = mixtral(1), mixtral(2)
    written(a, tmp_path / "a")
    b.save_pretrained(tmp_path / "b", save_original_format=False)
    assert contents(tmp_path / "a").keys().isdisjoint(k for k in contents(tmp_path / "b") if "expert" in k)
    for names in ("ab", "ba"):
        parts = [Part(open_weights(tmp_path / name)) for name in names]
        write_merged(parts, Shares((0.5, 0.5)), tmp_path / f"out-{names}", provenance={})
        assert contents(tmp_path / f"out-{names}").keys() == contents(tmp_path / names[0]).keys()
        again = MixtralForCausalLM.from_pretrained(tmp_path / f"out-{names}").state_dict()
        assert all(torch.equal(v, again[k]) for k, v in gm.merge([a, b]).state_dict().items())


def test_the_order_of_experts_is_that_of_their_numbers(tmp_path):
    """Twelve of them: by the letters 10 and 11 come before 2."""
    a = mixtral(1, experts=12)
    written(a, tmp_path / "a")
    weights = open_weights(tmp_path / "a")
    assert all(torch.equal(weights.read(key), tensor) for key, tensor in a.state_dict().items())


def test_experts_of_which_one_is_missing_are_loaded_whole(tmp_path):
    written(mixtral(1), tmp_path / "a", "1GB")
    renamed(tmp_path / "a", lambda name: [] if "experts.1.w2" in name else [name])
    way = r"whole: its files have .*w2\.weight.*, which Mixtral.* another way"
    with pytest.warns(GraphMergeWarning, match=way), pytest.raises(ArchitectureMismatch):
        open_weights(tmp_path / "a")


def renamed(folder, rename):
    """The files of a directory with every tensor under another name, or under several."""
    from safetensors.torch import load_file, save_file

    where = {}
    for file in sorted(folder.glob("*.safetensors")):
        state = {name: v.clone() for k, v in load_file(file).items() for name in rename(k)}
        save_file(state, file, metadata={"format": "pt"})
        where |= dict.fromkeys(state, file.name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))


OLD = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def old(key):
    return [next((key.removesuffix(new) + was for new, was in OLD.items() if key.endswith(new)), key)]


def bare_bert(seed):
    return BertModel(bert(seed).config)


NAMES = {
    "without the prefix": (gpt2, lambda key: [key.removeprefix("transformer.")]),
    "with the prefix": (bare_bert, lambda key: [f"bert.{key}"]),
    "old norms": (bert, old),
    "old norms without the prefix": (bert, lambda key: [old(key)[0].removeprefix("bert.")]),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_stand_for_names_of_the_class_are_read_from_the_files(name, tmp_path, recwarn):
    """As `from_pretrained` understands them; what is written has the names of the files."""
    build, rename = NAMES[name]
    a, b = build(1).eval(), build(2).eval()
    for model, folder in ((a, "a"), (b, "b")):
        written(model, tmp_path / folder, "3kB")
        renamed(tmp_path / folder, rename)
    loaded = [load_model(tmp_path / folder).model for folder in "ab"]
    assert all(torch.equal(v, loaded[0].state_dict()[k]) for k, v in a.state_dict().items())
    parts = [Part(open_weights(tmp_path / "a")), Part(open_weights(tmp_path / "b"))]
    assert not [str(w.message) for w in recwarn if issubclass(w.category, GraphMergeWarning)]
    assert all(part.weights.entries is not None for part in parts)
    write_merged(parts, Shares((0.5, 0.5)), tmp_path / "out", provenance={})
    expected = gm.merge(loaded).state_dict()
    again = type(a).from_pretrained(tmp_path / "out").state_dict()
    assert all(torch.equal(v, again[k]) for k, v in expected.items())
    assert contents(tmp_path / "out").keys() == contents(tmp_path / "a").keys()
    assert not contents(tmp_path / "out").keys() <= a.state_dict().keys()


def test_a_tensor_that_two_names_could_mean_is_loaded_whole(tmp_path):
    written(gpt2(1), tmp_path / "a", "3kB")
    renamed(tmp_path / "a", lambda key: [key, key.removeprefix("transformer.")] if "ln_f.b" in key else [key])
    with pytest.warns(GraphMergeWarning, match=r"whole: its files have .*ln_f\.bias.*, which could both be"):
        assert open_weights(tmp_path / "a").entries is None


def test_tensors_that_are_tied_and_differ_are_loaded_whole(tmp_path):
    from safetensors.torch import load_file, save_file

    written(llama(1), tmp_path / "a", "1GB")
    state = load_file(tmp_path / "a" / "model.safetensors")
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    save_file(state, tmp_path / "a" / "model.safetensors", metadata={"format": "pt"})
    weights = open_weights(tmp_path / "a")
    assert weights.entries is not None
    p = gm.trace(llama(1)).symmetry().random(seed=1)
    write_merged([Part(weights, p)], Shares((1.0,)), tmp_path / "out", provenance={})
    moved = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(moved["lm_head.weight"], moved["model.embed_tokens.weight"])
    assert not torch.equal(moved["lm_head.weight"], state["lm_head.weight"])
    state["lm_head.weight"][0, 0] += 1
    save_file(state, tmp_path / "a" / "model.safetensors", metadata={"format": "pt"})
    with pytest.warns(GraphMergeWarning, match="two values for"):
        assert open_weights(tmp_path / "a").entries is None


def test_errors_leave_nothing(tmp_path):
    a, b = gpt2(1), gpt2(2)
    b.transformer.h[1].mlp.c_fc.weight.data[0, 0] = float("nan")
    written(a, tmp_path / "a"), written(b, tmp_path / "b"), written(gpt2(1, n_embd=32), tmp_path / "wide")
    opened = {name: Part(open_weights(tmp_path / name)) for name in ("a", "b", "wide")}
    with pytest.raises(InputError, match=r"b: transformer\.h\.1\.mlp\.c_fc\.weight has 1 NaN entries"):
        write_merged([opened["a"], opened["b"]], Shares((0.5, 0.5)), tmp_path / "out", provenance={})
    with pytest.raises(ArchitectureMismatch, match="has shape"):
        write_merged([opened["a"], opened["wide"]], Shares((0.5, 0.5)), tmp_path / "out", provenance={})
    p = gm.trace(gpt2(1, n_embd=32)).symmetry().identity()
    with pytest.raises(ArchitectureMismatch, match="has shape"):
        write_merged([Part(opened["a"].weights, p)], Shares((1.0,)), tmp_path / "out", provenance={})
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "wide"]


def test_quantised_weights_are_refused(tmp_path):
    written(gpt2(1), tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text()) | {"quantization_config": {}}
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="holds quantised weights"):
        open_weights(tmp_path / "a")
