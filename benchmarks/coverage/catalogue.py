"""The denominator: every model type of the installed transformers times the heads that it has."""

from __future__ import annotations

import inspect
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import transformers
from transformers import CONFIG_MAPPING
from transformers.models.auto import modeling_auto


@dataclass(frozen=True, order=True)
class Case:
    """One row: a model type, one of its classes, and the auto mappings that name the class."""

    model_type: str
    model_class: str
    heads: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.model_type} {self.model_class}"


def catalogue() -> list[Case]:
    """All cases, sorted. A model type without a head of its own counts once, with the class that its config names."""
    heads: dict[tuple[str, str], list[str]] = defaultdict(list)
    for mapping in sorted(n for n in dir(modeling_auto) if n.startswith("MODEL") and n.endswith("MAPPING_NAMES")):
        for model_type, classes in getattr(modeling_auto, mapping).items():
            for name in (classes,) if isinstance(classes, str) else classes:
                heads[model_type, name].append(_head(mapping))
    found = [Case(model_type, name, tuple(names)) for (model_type, name), names in heads.items()]
    named = {case.model_type for case in found}
    found += [Case(t, _class_of(t), ("part",)) for t in CONFIG_MAPPING if t not in named]
    return sorted(found)


def _head(mapping: str) -> str:
    """``MODEL_FOR_MASKED_LM_MAPPING_NAMES`` is masked-lm, the bare model is base."""
    name = mapping.removesuffix("_MAPPING_NAMES").removeprefix("MODEL").removeprefix("_FOR").strip("_")
    return name.lower().replace("_", "-") or "base"


def _class_of(model_type: str) -> str:
    """The model that a config without an entry in any auto mapping belongs to; empty if there is none."""
    config = CONFIG_MAPPING[model_type]
    module = inspect.getmodule(config)
    assert module is not None
    place = module.__name__.replace("configuration_", "modeling_")
    try:
        models: Any = __import__(place, fromlist=["*"])
    except ImportError:
        return ""
    classes = [
        c
        for _, c in inspect.getmembers(models, inspect.isclass)
        if issubclass(c, transformers.PreTrainedModel)
        and getattr(c, "config_class", None) is config
        and not c.__name__.endswith("PreTrainedModel")
    ]
    return min(classes, key=lambda c: len(c.__name__)).__name__ if classes else ""


def load(case: Case) -> tuple[type, type]:
    """The config class and the model class of a case.

    Raises:
        AttributeError: transformers has no such class here (an optional package is missing).
    """
    config = CONFIG_MAPPING[case.model_type]
    if case.heads == ("part",):
        module = inspect.getmodule(config)
        assert module is not None
        place = module.__name__.replace("configuration_", "modeling_")
        return config, getattr(__import__(place, fromlist=["*"]), case.model_class)
    return config, getattr(transformers, case.model_class)
