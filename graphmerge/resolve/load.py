"""Reading a spec for a model: sizes from its config, optional tensors as it has them, tied ones under all names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from graphmerge.errors import SpecError
from graphmerge.graph.storage import canonical_names
from graphmerge.resolve.override import overridden
from graphmerge.spec import (
    PACKAGED,
    Target,
    check_spec,
    models_of,
    packaged_names,
    packaged_text,
    parse_spec,
    read_text,
)
from graphmerge.spec.overrides import is_override, parse_overrides
from graphmerge.symmetry import Symmetry, members_of


def load_spec(
    path: str | Path, model: torch.nn.Module | None = None, example_inputs: Any = None, *, seed: int = 0
) -> Symmetry:
    """Read a permutation spec, for a model if one is given.

    Args:
        path: a file, or the name of a family whose spec is packaged (``bert``, ``llama`` ..., or ``packaged`` for that
            of the model's own type).
        model: what sizes that the spec takes from a config refer to, and which optional tensors there are. The spec is
            checked against its tensors, and needs to name only one of several names of a tied tensor. Only a spec
            with ``derive: true``, which changes what is derived, has it traced, with ``example_inputs``, and run.

    Raises:
        SpecError: no such file or family, or it says something wrong: file, line, column and what to do; or a change
            of what is derived changes the outputs.
    """
    text, name = _text(path, model)
    if is_override(text, name):
        if model is None:
            raise SpecError(f"{name}: this spec changes what is derived from a model; give the model too")
        return overridden(model, parse_overrides(text, name), example_inputs, seed)
    if model is None:
        return parse_spec(text, name)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    target = Target(getattr(model, "config", None), shapes, type(model).__name__)
    return _tied(check_spec(parse_spec(text, name, target), model.state_dict()), canonical_names(model))


def needs_weights(path: str | Path) -> bool:
    """Whether `load_spec` runs the model, so that it must have weights: the spec releases pins. False for no spec."""
    try:
        text = read_text(path)
        return is_override(text) and bool(parse_overrides(text).release)
    except SpecError:
        return False


def _text(path: str | Path, model: torch.nn.Module | None) -> tuple[str, str]:
    """The text of a spec, and what to call it in errors."""
    family = str(path)
    if Path(path).exists() or family not in (PACKAGED, *packaged_names()):
        return read_text(path), str(path)
    if family == PACKAGED:
        family = str(getattr(getattr(model, "config", None), "model_type", "a model without a type"))
    text, name = packaged_text(family), f"packaged {family}.yaml"
    known = models_of(text, name)
    if model is not None and type(model).__name__ not in known:
        raise SpecError(
            f"the packaged spec {family!r} is for {' and '.join(known)}, not for {type(model).__name__}; derive one "
            "with `graphmerge spec derive`"
        )
    return text, name


def _tied(symmetry: Symmetry, names: Mapping[str, str]) -> Symmetry:
    """The same with every tensor under all of its keys; ``names`` says which keys are one tensor."""
    listed: dict[str, str] = {}
    for key, blocks in symmetry.layout.items():
        first = listed.setdefault(names.get(key, key), key)
        if blocks != symmetry.layout[first]:
            place = f"{symmetry.places[key]}: " if key in symmetry.places else ""
            raise SpecError(f"{place}{key} and {first} are one tensor, but have different axes; write {key}: = {first}")
    more = {key: listed[name] for key, name in names.items() if name in listed and key not in symmetry.layout}
    if not more:
        return symmetry
    layout = dict(symmetry.layout) | {key: symmetry.layout[first] for key, first in more.items()}
    layout = {key: layout[key] for key in names if key in layout} | layout  # in the order of the model
    members = members_of(layout)
    return replace(
        symmetry,
        layout=layout,
        shapes=dict(symmetry.shapes) | {key: symmetry.shapes[first] for key, first in more.items()},
        groups=tuple(replace(group, members=members[group.name]) for group in symmetry.groups),
    )
