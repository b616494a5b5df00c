"""One case of the catalogue as a tiny model with inputs that it runs on."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.coverage.catalogue import Case, load
from benchmarks.coverage.inputs import inputs_of
from benchmarks.coverage.overrides import FUSED, TINY, config_of, small_of
from graphmerge.shrink import shrink


class NotConstructible(Exception):  # noqa: N818  (an outcome, not a fault)
    """The case has no tiny model that runs here; the text says which step failed, and how."""


def build(case: Case) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The model in eval mode, with random weights, and keyword arguments of its forward pass.

    Raises:
        NotConstructible: with the text of what was raised.
    """
    step = "load"
    try:
        config_class, model_class = load(case)
        step = "config"
        config = config_of(case, config_class, model_class)
        step = "shrink"
        if case.model_type in TINY:
            small = config
            runs(case, model_class, small)
        else:
            small = small_of(case, shrink(config, lambda c: runs(case, model_class, small_of(case, c))))
    except Exception as error:
        raise NotConstructible(f"{step}: {type(error).__name__}: {_short(error)}") from error
    torch.manual_seed(0)
    model = make(model_class, small)
    return model, inputs_of(case, model, small)


def make(model_class: Any, config: Any) -> torch.nn.Module:
    """Eager attention, wherever there is such: every product is written out."""
    if hasattr(model_class, "_from_config"):
        attention = "sdpa" if model_class.__name__ in FUSED else "eager"
        return model_class._from_config(config, attn_implementation=attention).eval()
    return model_class(config).eval()


def runs(case: Case, model_class: Any, config: Any) -> bool:
    """Can a model of this config be built, and run on the inputs that it asks for?

    Raises:
        Exception: what the model raised, where it cannot.
    """
    model = make(model_class, config)
    with torch.no_grad():
        model(**inputs_of(case, model, config))
    return True


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
