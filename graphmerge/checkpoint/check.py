"""Can these weights be merged: finite, and two of one architecture and one vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from graphmerge.checkpoint.tokenizer import TokenizerIdentity
from graphmerge.checkpoint.wording import listed
from graphmerge.errors import ArchitectureMismatch, InputError

Weights = nn.Module | Mapping[str, torch.Tensor]
CHUNK = 1 << 22  # entries that are looked at at once: what is needed beside a large tensor stays small

# Settings that change the function of a model and the shape of no tensor.
_STRUCTURE = re.compile(
    r"heads?$|head_dim|_act$|act_fn|activation|position_embedding|rope|rotary|alibi|window|experts_per_tok"
    r"|layer_types|is_decoder|tie_word|multi_query|parallel|norm_first|do_layer_norm_before"
)


def check_finite(weights: Weights, where: str = "the model") -> None:
    """Every parameter is a finite number.

    In a module, buffers may be infinite (a causal mask is) but not NaN; in a state dict, where the two cannot be told
    apart, so may all tensors that hold nothing but infinities and zeros.

    Raises:
        InputError: names the tensor and says how many of its entries are bad.
    """
    for name, tensor in _tensors(weights).items():
        if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.device.type == "meta":
            continue
        values = tensor.detach()
        if all(_finite(part) for part in values.reshape(-1).split(CHUNK)):
            continue
        values = values.float() if values.element_size() == 1 else values
        nan, infinite = int(values.isnan().sum()), int(values.isinf().sum())
        if not nan and _is_mask(weights, name, values):
            continue
        kind = "NaN" if nan else "infinite"
        raise InputError(
            f"{where}: {name} has {nan or infinite:,} {kind} entries of {values.numel():,}; "
            "such a model cannot be merged"
        )


def _finite(values: torch.Tensor) -> bool:
    """Whether all of some values are finite; float8 has no isfinite."""
    return bool(torch.isfinite(values.float() if values.element_size() == 1 else values).all())


def check_pair(
    a: Weights,
    b: Weights,
    *,
    tokenizers: tuple[TokenizerIdentity | None, TokenizerIdentity | None] | None = None,
    allow_different_tokenizers: bool = False,
    names: tuple[str, str] = ("the first model", "the second model"),
) -> None:
    """Two sets of weights belong to one architecture, tensor by tensor, and read the same vocabulary.

    Models in memory carry no tokenizer: give the identities of their checkpoints (`Loaded.tokenizer`). A checkpoint
    without a tokenizer cannot be compared and passes. Dtypes and devices may differ.

    Raises:
        ArchitectureMismatch: other classes or settings, tensors missing from one of the two, other shapes.
        InputError: other tokenizers, unless ``allow_different_tokenizers``.
    """
    if isinstance(a, nn.Module) and isinstance(b, nn.Module):
        _check_classes(a, b, names)
    _check_tensors(_tensors(a), _tensors(b), names)
    if tokenizers and tokenizers[0] and tokenizers[1] and not allow_different_tokenizers:
        difference = tokenizers[0].difference(tokenizers[1])
        if difference:
            raise InputError(
                f"{names[0]} and {names[1]} were trained with different tokenizers: {difference}; their embedding rows "
                "mean different tokens; if you know better, allow_different_tokenizers=True "
                "(--allow-different-tokenizers)"
            )


def _check_classes(a: nn.Module, b: nn.Module, names: tuple[str, str]) -> None:
    # by name: a file that is run twice defines its classes twice
    if type(a).__qualname__ != type(b).__qualname__:
        raise ArchitectureMismatch(
            f"{names[0]} is a {type(a).__qualname__} and {names[1]} a {type(b).__qualname__}; "
            "only models of one architecture can be merged"
        )
    ours, theirs = _settings(a), _settings(b)
    for key in sorted(ours.keys() & theirs.keys()):
        if _STRUCTURE.search(key) and ours[key] != theirs[key]:
            raise ArchitectureMismatch(
                f"the configs differ in {key}: {ours[key]} in {names[0]}, {theirs[key]} in {names[1]}; "
                "only models of one architecture can be merged"
            )


def _settings(model: nn.Module) -> dict[str, Any]:
    return model.config.to_dict() if isinstance(model, PreTrainedModel) else {}


def _check_tensors(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], names: tuple[str, str]) -> None:
    for ours, theirs, (whole, lacking) in ((a, b, names), (b, a, names[::-1])):
        if missing := [key for key in ours if key not in theirs]:
            raise ArchitectureMismatch(f"{lacking} lacks {listed(missing)}, which {whole} has")
    other = [key for key in a if a[key].shape != b[key].shape]
    if other:
        key = other[0]
        more = f" (and {len(other) - 1} more tensors differ)" if len(other) > 1 else ""
        raise ArchitectureMismatch(
            f"{key} has shape {tuple(a[key].shape)} in {names[0]} and {tuple(b[key].shape)} in {names[1]}{more}"
        )


def _tensors(weights: Weights) -> dict[str, torch.Tensor]:
    return dict(weights.state_dict() if isinstance(weights, nn.Module) else weights)


def _is_mask(weights: Weights, name: str, values: torch.Tensor) -> bool:
    """Whether infinite entries are meant: a buffer, or a tensor of infinities and zeros."""
    if isinstance(weights, nn.Module):
        return name in dict(weights.named_buffers(remove_duplicate=False))
    return bool((values.isinf() | (values == 0)).all()) and bool((values == 0).any())
