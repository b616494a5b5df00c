"""A tiny copy of a model that has a config: the same architecture, with weights, in the place of one that is too large.

A model on the meta device has no weights to run, and a large one takes too long; what holds of the copy holds of the
model as far as the symmetries of the two correspond (`graphmerge.verify.likeness`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from graphmerge.errors import TraceError
from graphmerge.graph import trace
from graphmerge.shrink import plan, shrink
from graphmerge.symmetry import Symmetry
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.inputs import Inputs
from graphmerge.verify.likeness import Derived, unlike

TRIES: Final = 6  # small copies
Changes = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class SmallCopy:
    """A small model, inputs that it runs on, and the settings of its config that were made small (from, to)."""

    model: torch.nn.Module
    inputs: Inputs
    shrunk: Changes


def can_shrink(model: torch.nn.Module) -> bool:
    """Is it built from a config, as models of transformers are?"""
    return hasattr(model, "_from_config") and hasattr(getattr(model, "config", None), "to_dict")


def without_weights(model: torch.nn.Module) -> bool:
    """Is some parameter on the meta device?"""
    return any(p.is_meta for p in model.parameters())


def small_copy(
    model: torch.nn.Module, example_inputs: Any = None, fits: Callable[[SmallCopy], bool] | None = None
) -> SmallCopy:
    """A model of the same class from its config made small, with eager attention.

    Args:
        model: it needs no weights, and is not changed.
        example_inputs: what names the inputs of the copy; None takes those of the class.
        fits: is this copy the one? If not, others follow, less small.

    Raises:
        TraceError: the model has no config, or no small copy of it runs and fits.
    """
    if not can_shrink(model):
        raise TraceError(f"{type(model).__name__} has no config that a small copy could be built from")
    whole: Any = model
    given = None if example_inputs is None else Inputs.of(example_inputs)
    built: list[SmallCopy] = []

    def build(config: Any) -> None:
        copy = type(whole)._from_config(config, attn_implementation="eager").eval()
        inputs = _fitting(copy, given)
        with torch.no_grad():
            copy(*inputs.args, **inputs.kwargs)
        made = SmallCopy(copy, inputs, dict(_changes("", whole.config.to_dict(), copy.config.to_dict())))
        if fits is not None and not fits(made):
            raise TraceError("it does not fit")
        built.append(made)

    try:
        with torch.random.fork_rng():
            shrink(whole.config, build)
    except Exception as error:
        line = next(iter(str(error).strip().splitlines()), "")
        raise TraceError(
            f"no small copy of {type(model).__name__} runs ({type(error).__name__}: {line}); take a small model of "
            "its class, with example inputs for it"
        ) from error
    return built[-1]


@dataclass(frozen=True)
class Compared:
    """A small copy, what was derived from it, and what of the two symmetries does not correspond (`unlike`)."""

    copy: SmallCopy
    symmetry: Symmetry
    unlike: tuple[str, ...]


def compared_copy(
    model: torch.nn.Module, symmetry: Symmetry, example_inputs: Any = None, outputs: tuple[str, ...] | None = None
) -> Compared:
    """The first small copy whose symmetry corresponds; the first of all if none of `TRIES` does.

    In between stands the model with its sizes and few layers, without weights: held against the model, it shows a wrong
    size; held against the copy, a size that vanished there, which a copy that is less small may still have.

    Raises:
        TraceError: no small copy of the model runs.
        ArchitectureMismatch: the symmetry moves a tensor that the model has not.
    """
    fitted = symmetry.fit({key: tuple(tensor.shape) for key, tensor in model.state_dict().items()})
    few = _few_layers(model, example_inputs, outputs)
    wrong = unlike(Derived.of(model, fitted), few, sized=True)
    tried: list[Compared] = []

    def fits(copy: SmallCopy) -> bool:
        found = trace(copy.model, copy.inputs, outputs).symmetry()
        tried.append(Compared(copy, found, wrong or unlike(few, Derived.of(copy.model, found))))
        return bool(wrong) or not tried[-1].unlike or len(tried) == TRIES

    try:
        small_copy(model, example_inputs, fits)
    except TraceError:
        if not tried:
            raise
    return next((one for one in tried if not one.unlike), tried[0])


def _few_layers(model: Any, example_inputs: Any, outputs: tuple[str, ...] | None) -> Derived:
    """Derived from the model with few layers; from the model itself where no such model can be built or run."""
    whole = plan(model.config)
    layers = replace(whole, changes=tuple(c for c in whole.changes if c.role == "layers"))
    try:
        with torch.device("meta"):
            few = type(model)._from_config(layers.apply(model.config)).eval()
        found = trace(few, example_inputs, outputs).symmetry()
    except Exception:  # whatever a model raises that cannot be built or run
        few, found = model, trace(model, example_inputs, outputs).symmetry()
    return Derived.of(few, found)


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
