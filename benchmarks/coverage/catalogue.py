"""The denominator: every model type of the installed transformers times the heads that it has."""

from __future__ import annotations

import inspect
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
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
    try:
        models = _modeling(config)
    except ImportError:
        return ""
    classes = [c for _, c in inspect.getmembers(models, inspect.isclass) if issubclass(c, torch.nn.Module)]
    own = [
        c for c in classes if getattr(c, "config_class", None) is config and not c.__name__.endswith("PreTrainedModel")
    ]
    taking = [c for c in classes if c.__module__ == models.__name__ and _takes(c, config)]
    if own:
        return min(own, key=lambda c: len(c.__name__)).__name__
    stem = config.__name__.removesuffix("Config")
    named = [c for c in taking if c.__name__.startswith(stem)]  # SamPromptEncoderConfig: SamPromptEncoder
    return min(named or taking, key=lambda c: len(c.__name__)).__name__ if taking else ""


def _modeling(config: type) -> Any:
    """The module with the models of a config; raises ImportError where there is none."""
    module = inspect.getmodule(config)
    assert module is not None
    return __import__(module.__name__.replace("configuration_", "modeling_"), fromlist=["*"])


def _takes(module: type, config: type) -> bool:
    """Is a module made from this config alone?"""
    each = list(inspect.signature(module.__init__).parameters.values())[1:]
    alone = all(p.default is not p.empty for p in each[1:])
    return bool(each) and alone and each[0].annotation in (config, config.__name__)


def load(case: Case) -> tuple[type, type]:
    """The config class and the model class of a case.

    Raises:
        AttributeError: transformers has no such class here (an optional package is missing).
    """
    config = CONFIG_MAPPING[case.model_type]
    if case.heads == ("part",):
        return config, getattr(_modeling(config), case.model_class)
    found = getattr(transformers, case.model_class, None)
    return config, found or getattr(_modeling(config), case.model_class)
