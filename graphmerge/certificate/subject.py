"""What is certified: the model as it is, or a tiny copy of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from graphmerge.errors import TraceError
from graphmerge.shrink import shrink
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs

SMALL: Final = 20_000  # parameters; a model with fewer is certified as it is
LENGTHS: Final = (2, 3, 5)  # positions to count at


@dataclass(frozen=True)
class Subject:
    """A model with inputs, and the settings of its config that were made small (from, to)."""

    model: torch.nn.Module
    inputs: Inputs
    shrunk: Mapping[str, tuple[Any, Any]]

    def at_lengths(self) -> Iterator[Inputs]:
        """The inputs at the lengths to count at, as far as the model runs on them; else as they are."""
        if self.inputs.length is None:
            yield self.inputs
            return
        runs = False
        for length in LENGTHS:
            inputs = self.inputs.resized(length)
            if _runs(self.model, inputs):
                runs = True
                yield inputs
        if not runs:
            yield self.inputs


def subject_of(model: torch.nn.Module, example_inputs: Any, shrinking: bool) -> Subject:
    """The model as it is; if it is large and has a config that can be made small, a tiny copy.

    Raises:
        TraceError: no inputs are known for the model.
    """
    config: Any = getattr(model, "config", None)
    if shrinking and _size(model) > SMALL and hasattr(model, "_from_config") and hasattr(config, "to_dict"):
        copy, inputs = _small_copy(model, example_inputs)
        changed = _changes("", config.to_dict(), copy.config.to_dict())
        return Subject(copy, inputs, dict(changed))
    return Subject(model, default_inputs(model) if example_inputs is None else Inputs.of(example_inputs), {})


def _size(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _small_copy(model: Any, example_inputs: Any) -> tuple[Any, Inputs]:
    """A model of the same class from its config made small, with eager attention, and inputs that it runs on."""
    given = None if example_inputs is None else Inputs.of(example_inputs)
    built: list[tuple[Any, Inputs]] = []

    def build(config: Any) -> None:
        copy = type(model)._from_config(config, attn_implementation="eager").eval()
        inputs = _fitting(copy, given)
        with torch.no_grad():
            copy(*inputs.args, **inputs.kwargs)
        built.append((copy, inputs))

    try:
        with torch.random.fork_rng():
            shrink(model.config, build)
    except Exception as error:
        line = next(iter(str(error).strip().splitlines()), "")
        raise TraceError(
            f"no small copy of {type(model).__name__} runs ({type(error).__name__}: {line}); certify a small model of "
            "its class, with example inputs for it"
        ) from error
    return built[-1]


def _fitting(copy: torch.nn.Module, given: Inputs | None) -> Inputs:
    """Inputs for the small copy: those of its class for what the given ones name, whole numbers in its vocabulary."""
    if given is None:
        return default_inputs(copy)
    try:
        usual = default_inputs(copy).tensors
    except TraceError:
        usual = {}
    config: Any = copy.config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    vocabulary = getattr(text, "vocab_size", None)
    return given.with_tensors(
        {
            name: usual.get(name, tensor % vocabulary if vocabulary and not tensor.is_floating_point() else tensor)
            for name, tensor in given.tensors.items()
        }
    )


def _changes(path: str, before: Any, after: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Settings that differ, with what they were and are; nested ones by dotted names."""
    for name, value in after.items():
        was = before.get(name)
        if isinstance(value, dict) and isinstance(was, dict):
            yield from _changes(f"{path}{name}.", was, value)
        elif was != value and not name.startswith("_"):
            yield f"{path}{name}", (was, value)


def _runs(model: torch.nn.Module, inputs: Inputs) -> bool:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(*inputs.args, **inputs.kwargs)
    except Exception:  # whatever it is, other lengths may do
        return False
    finally:
        model.train(training)
    return True
