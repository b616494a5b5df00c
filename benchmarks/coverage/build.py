"""One case of the catalogue as a tiny model with inputs that it runs on."""

from __future__ import annotations

from typing import Any, Final

import torch

from benchmarks.coverage.catalogue import Case, load
from benchmarks.coverage.inputs import inputs_of
from benchmarks.coverage.overrides import FUSED, TINY, config_of, small_of
from graphmerge.shrink import shrink

TRIES: Final = 4  # small configs with which more than a text is tried, before a text alone is enough


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
        small = _small(case, model_class, config)
    except Exception as error:
        raise NotConstructible(f"{step}: {type(error).__name__}: {_short(error)}") from error
    torch.manual_seed(0)
    model = make(model_class, small)
    return model, inputs_of(case, model, small)


def _small(case: Case, model_class: Any, config: Any) -> Any:
    """A small config of which a model runs: on pictures or sound too, if any small config lets it, else on text."""
    if case.model_type in TINY:
        runs(case, model_class, config)
        return config
    tries = 0

    def sees(small: Any) -> None:
        nonlocal tries
        tries += 1
        if tries > TRIES:
            raise _Enough
        runs(case, model_class, small_of(case, small), text_alone=False)

    try:
        return small_of(case, shrink(config, sees))
    except (_Enough, TextAlone):
        return small_of(case, shrink(config, lambda c: runs(case, model_class, small_of(case, c))))


class _Enough(BaseException):
    """No more small configs are tried: no `Exception`, which would only be one more config that does not fit."""


class TextAlone(Exception):  # noqa: N818  (an outcome, not a fault)
    """A model of pictures or sound was given a text only."""


def make(model_class: Any, config: Any) -> torch.nn.Module:
    """Eager attention, wherever there is such: every product is written out."""
    if hasattr(model_class, "_from_config"):
        attention = "sdpa" if model_class.__name__ in FUSED else "eager"
        return model_class._from_config(config, attn_implementation=attention).eval()
    return model_class(config).eval()


def runs(case: Case, model_class: Any, config: Any, text_alone: bool = True) -> bool:
    """Can a model of this config be built, and run on the inputs that it asks for?

    Raises:
        TextAlone: it runs, but on text only, and ``text_alone`` says that it should not.
        Exception: what the model raised, where it cannot.
    """
    model = make(model_class, config)
    inputs = inputs_of(case, model, config)
    with torch.no_grad():
        model(**inputs)
    if not text_alone and _sees_or_hears(model) and not any(_is_real(v) for v in inputs.values()):
        raise TextAlone(f"{case} was given {', '.join(inputs)}")
    return True


def _sees_or_hears(model: torch.nn.Module) -> bool:
    return any(hasattr(m, f"get_{kind}_features") for m in model.modules() for kind in ("image", "audio"))


def _is_real(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
