"""The packaged specs: for every family the same groups as derived, proved on numbers, at sizes that nobody has seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import transformers

import graphmerge as gm
from graphmerge.resolve import load_spec
from graphmerge.spec import models_of, packaged_names, packaged_text
from tests.spec.tiny_families import FAMILIES, tiny


@pytest.mark.parametrize("name", FAMILIES)
def test_a_packaged_spec_has_the_derived_groups_and_holds(name):
    model = tiny(name)
    spec = load_spec("packaged", model)
    found = gm.check(model, spec)
    assert found.equal, str(found)
    verified = gm.verify(model, spec)
    assert verified.max_error <= 1e-9, verified.culprits
    assert verified.untested == ()


def other(name: str) -> torch.nn.Module:
    """The tiny model with the embeddings tied where they were not, and untied where they were."""
    model_class, config = FAMILIES[name]
    changed = config()
    changed.tie_word_embeddings = not changed.tie_word_embeddings
    torch.manual_seed(0)
    return getattr(transformers, model_class)._from_config(changed).eval()


def tensors(model: torch.nn.Module) -> int:
    return len({tensor.data_ptr() for tensor in model.state_dict().values()})


LANGUAGE_MODELS = [name for name in FAMILIES if hasattr(FAMILIES[name][1](), "tie_word_embeddings")]
UNREAD = ("t5", "t5, gated", "bart")  # whose shared embedding is there all the same, and nothing reads it


@pytest.mark.parametrize("name", [name for name in LANGUAGE_MODELS if name not in UNREAD and "classifier" not in name])
def test_with_embeddings_tied_and_untied(name):
    model = other(name)
    assert tensors(model) != tensors(tiny(name))
    spec = load_spec("packaged", model)
    found = gm.compare(spec, gm.trace(model).symmetry())
    assert found.equal, str(found)
    verified = gm.verify(model, spec)
    assert verified.max_error <= 1e-9, verified.culprits
    assert verified.untested == ()


@pytest.mark.parametrize("name", UNREAD)
def test_an_embedding_that_nothing_reads_moves_along(name):
    model = other(name)
    assert tensors(model) > tensors(tiny(name))
    spec = load_spec("packaged", model)
    found = gm.compare(spec, gm.trace(model).symmetry())
    assert found.missing_ties == ()
    assert found.missing_freedom == ()
    (wrong,) = map(str, found.wrong_ties)
    assert re.fullmatch(r"residual may not move \(pinned: unread: .*\): (model\.)?shared\.weight\[1\]", wrong)
    assert gm.verify(model, spec).max_error <= 1e-9


@pytest.mark.parametrize("name", ["bert", "albert", "modernbert"])
def test_the_head_of_a_masked_language_model_has_an_order_of_its_own_where_it_is_not_tied(name):
    tied, untied = (load_spec("packaged", model) for model in (tiny(name), other(name)))
    assert len(untied.groups) == len(tied.groups) + 1
    assert gm.load_spec("packaged", other(name)).log_order() > tied.log_order()


def test_every_packaged_family_is_tested():
    assert {name.split(",")[0] for name in FAMILIES} == set(packaged_names())
    assert len(packaged_names()) >= 17


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral", "qwen3", "gemma2"])
def test_classifiers_of_decoders_have_the_same_groups(name):
    causal = tiny(name)
    config = causal.config
    config.pad_token_id = 0
    config.num_labels = 3
    known = models_of(packaged_text(name))
    model = getattr(transformers, known[1])(config).eval()
    found = gm.check(model, gm.load_spec(name, model))
    assert found.equal, str(found)


def test_the_readme_lists_every_family_with_its_classes():
    text = (Path(__file__).parents[2] / "specs" / "README.md").read_text()
    rows = [f"| `{name}` | {', '.join(models_of(packaged_text(name)))} |" for name in packaged_names()]
    assert [line for line in text.splitlines() if line.startswith("| `")] == rows
