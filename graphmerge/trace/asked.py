"""What a model's class and config say about its inputs: names of arguments, and numbers under several names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch

from graphmerge.errors import TraceError
from graphmerge.trace.inputs import HOW

# Words in the names of the configs inside a config, per kind of input.
PARTS: Final = {
    "image": ("vision", "image", "visual", "backbone"),
    "video": ("video", "vision", "visual", "backbone"),
    "audio": ("audio", "speech", "acoustic", "encoder"),
}


@dataclass(frozen=True)
class Asked:
    """A model, its config, and the names of what its forward pass accepts and needs."""

    model: torch.nn.Module
    config: Any
    main: tuple[str, ...]
    accepted: frozenset[str]
    required: frozenset[str]

    @classmethod
    def of(cls, model: torch.nn.Module) -> Asked:
        """From the signatures of the forward pass, and of the base model's where that gets all that is left over.

        Raises:
            TraceError: the model has no config, or does not name its main input.
        """
        config, main = getattr(model, "config", None), getattr(model, "main_input_name", None)
        if config is None or main is None:
            raise TraceError(f"{type(model).__name__} does not say what its inputs are; {HOW}")
        own, base = _named(model), getattr(model, "base_model", model)
        accepted = set(own)
        if base is not model and isinstance(base, torch.nn.Module) and _passes_on(model):
            accepted |= set(_named(base))
        required = {n for n, p in own.items() if p.default is p.empty}
        names = (main,) if isinstance(main, str) else tuple(main)
        return cls(model, config, names, frozenset(accepted), frozenset(required))

    def wants(self, *names: str) -> str | None:
        """The first of the names that is accepted."""
        return next((n for n in names if n in self.accepted), None)

    def parts(self, kind: str) -> list[Any]:
        """Configs for one kind of input: those with a word for it in their path, the config itself, and the others."""
        inner = sorted(_below(self.config), key=lambda item: len(item[0]))
        named = [c for word in PARTS[kind] for path, c in inner if any(word in step for step in path)]
        return [*named, self.config, *(c for _, c in inner)]

    def number(self, kind: str, *names: str, default: Any = None) -> Any:
        """The first of the names that a config for this kind of input sets."""
        for config in self.parts(kind):
            for name in names:
                value = getattr(config, name, None)
                if value is not None and not isinstance(value, (str, bool)):
                    return value
        return default

    @property
    def tokens(self) -> dict[str, int]:
        """Token ids of the config and of those inside it, by name; the outermost config has the last word."""
        found: dict[str, int] = {}
        for config in [*(c for _, c in _below(self.config)), text_config(self.config), self.config]:
            for name, value in vars(config).items():
                if name.endswith(("token_id", "token_index")) and type(value) is int and value >= 0:
                    found[name] = value
        return found


def text_config(config: Any) -> Any:
    """The part of a config that its language model has; a language model may have parts itself."""
    try:
        found = config.get_text_config() if hasattr(config, "get_text_config") else config
    except ValueError:  # several parts are text: none of them is the one
        return config
    return found if found is config or hasattr(found, "vocab_size") else text_config(found)


def _below(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The configs inside a config, with their paths."""
    for name, value in vars(config).items():
        if not name.startswith("_") and hasattr(value, "to_dict") and hasattr(value, "model_type"):
            yield (*path, name), value
            yield from _below(value, (*path, name))


def _named(model: torch.nn.Module) -> dict[str, inspect.Parameter]:
    """Arguments with a name of their own."""
    each = inspect.signature(model.forward).parameters
    return {n: p for n, p in each.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _passes_on(model: torch.nn.Module) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(model.forward).parameters.values())
