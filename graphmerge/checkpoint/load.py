"""Models and weights from wherever they are: a module, a directory, a hub id, a file, a factory."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from graphmerge.checkpoint.check import check_finite
from graphmerge.checkpoint.directory import CONFIG, PICKLES, PROVENANCE, has_weights, refuse_pickle, weight_files
from graphmerge.checkpoint.factory import call_factory, is_factory
from graphmerge.checkpoint.pretrained import build_without_weights, fetch, is_identifier, load_pretrained
from graphmerge.checkpoint.tokenizer import TokenizerIdentity, tokenizer_identity
from graphmerge.device import resolve_device
from graphmerge.errors import InputError

Source = nn.Module | str | Path


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model ready to run (eval mode), and where it came from."""

    model: nn.Module
    source: str
    directory: Path | None = None
    example_inputs: Any = None
    tokenizer: TokenizerIdentity | None = None


def load_model(
    source: Source,
    *,
    trust_remote_code: bool = False,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    config_only: bool | None = False,
) -> Loaded:
    """A model from a module, a Hugging Face directory or id, or ``file.py:factory``.

    A directory is loaded with the class that its config.json names, from safetensors. A factory is a function without
    arguments that returns a module or ``(module, example_inputs)``; its file is run. A module given is not changed: it
    is copied if it is in training mode or has another device or dtype.

    Args:
        dtype: of the floating-point weights; None keeps that of the checkpoint.
        config_only: build a directory's model from its config.json alone, on the meta device (whatever ``device`` and
            ``dtype``), and fetch nothing else from the hub; None does so where there are no weights.

    Raises:
        InputError: nothing there, no model, ``config_only`` for what has no config.json, pickle files, untrusted code,
            NaN or infinite weights.
        ArchitectureMismatch: a checkpoint without all the weights of its class.
    """
    wanted = _dtype(dtype)
    if config_only and (isinstance(source, nn.Module) or is_factory(str(source))):
        raise InputError(f"{source} builds its model itself; a directory or id can be built from its config alone")
    if isinstance(source, nn.Module):
        loaded = Loaded(source, type(source).__name__)
    elif is_factory(str(source)):
        model, example_inputs = call_factory(str(source))
        loaded = Loaded(model, str(source), example_inputs=example_inputs)
    else:
        directory = directory_of(source, trust_remote_code, config_only is True)
        if config_only or (config_only is None and (directory / CONFIG).is_file() and not has_weights(directory)):
            model = build_without_weights(directory, trust_remote_code=trust_remote_code)
            return Loaded(model, str(source), directory)
        model = load_pretrained(directory, trust_remote_code=trust_remote_code, dtype=wanted)
        loaded = Loaded(model, str(source), directory, tokenizer=tokenizer_identity(directory))
    check_finite(loaded.model, loaded.source)
    model = _prepared(loaded.model, resolve_device(device), wanted, ours=loaded.model is not source)
    return Loaded(model, loaded.source, loaded.directory, loaded.example_inputs, loaded.tokenizer)


def load_state(source: Source | Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All weights by state-dict key, with every alias of a tied tensor; on the CPU unless they are in memory already.

    ``source`` is a module, a state dict, a model for `load_model`, a ``.safetensors`` file, or a directory that
    `save_model` wrote for a module that is no Hugging Face model.

    Raises:
        InputError: as `load_model`.
    """
    if isinstance(source, nn.Module):
        return dict(source.state_dict())
    if isinstance(source, Mapping):
        if wrong := [k for k, v in source.items() if not isinstance(v, torch.Tensor)]:
            raise InputError(f"a state dict holds tensors, but {wrong[0]!r} is a {type(source[wrong[0]]).__name__}")
        return dict(source)
    path = Path(source)
    if path.is_dir() and (path / PROVENANCE).is_file() and not (path / CONFIG).is_file():
        return _checked({k: v for file in weight_files(path) for k, v in read_safetensors(file).items()}, path)
    if path.suffix == ".safetensors" and not path.is_dir():
        return _checked(read_safetensors(path), path)
    return dict(load_model(source).model.state_dict())


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file, aliases included (``safetensors.torch.save_model`` keeps those as metadata).

    Raises:
        InputError: no such file, or it is damaged.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except Exception as error:
        raise InputError(f"{path} is not a whole safetensors file ({error})") from None
    return state | {alias: state[name] for alias, name in metadata.items() if name in state}


def _checked(state: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    check_finite(state, str(path))
    return state


def directory_of(source: str | Path, trust_remote_code: bool = False, config_only: bool = False) -> Path:
    """The directory of a checkpoint: the path itself, or where the files of a hub id are.

    Raises:
        InputError: neither is there, or it is no directory.
    """
    path = Path(source)
    if path.is_dir():
        return path
    if path.suffix in PICKLES and path.exists():
        raise refuse_pickle(path)
    if path.is_file():
        raise InputError(f"{path} is a file; a model is a directory that save_pretrained wrote, or file.py:factory")
    if isinstance(source, str) and is_identifier(source):
        return fetch(source, trust_remote_code=trust_remote_code, config_only=config_only)
    if isinstance(source, str) and (wrong := re.fullmatch(r"(.+):\w+", source)) and Path(wrong[1]).exists():
        raise InputError(f"{source!r}: a factory lives in a Python file, as in file.py:factory")
    raise InputError(f"there is nothing at {path}")


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found is None and dtype is None:
        return None
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(f"{dtype!r} is no floating-point dtype; try float32, bfloat16 or float16")
    return found


def _prepared(model: nn.Module, device: torch.device, dtype: torch.dtype | None, *, ours: bool) -> nn.Module:
    """The model in eval mode, on the device, in the dtype; a module that is not ours is copied before it is changed."""
    tensors = [*model.parameters(), *model.buffers()]
    moved = any(t.device != device or (dtype and t.is_floating_point() and t.dtype != dtype) for t in tensors)
    if not ours and (moved or any(m.training for m in model.modules())):
        model = copy.deepcopy(model)
    return model.to(device=device, dtype=dtype).eval() if moved else model.eval()
