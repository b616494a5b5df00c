"""The packaged specs: for every family the same groups as derived, proved on numbers, at sizes that nobody has seen."""

from __future__ import annotations

from pathlib import Path

import pytest
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
