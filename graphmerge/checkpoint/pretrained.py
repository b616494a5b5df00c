"""Hugging Face checkpoints: from_pretrained with the class that config.json names, from safetensors only."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from transformers import PreTrainedModel
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.utils import logging as transformers_logging

from graphmerge.checkpoint.directory import CONFIG, read_config, weight_files
from graphmerge.checkpoint.wording import listed
from graphmerge.errors import ArchitectureMismatch, GraphMergeWarning, InputError

_IDENTIFIER = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
# What is fetched of a model on the hub: config, weights, tokenizer.
_WANTED = [
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.model",
]


def is_identifier(source: str) -> bool:
    """Whether the text could name a model on the Hugging Face hub.

    >>> is_identifier("google-bert/bert-base-uncased"), is_identifier("../models/mine")
    (True, False)
    """
    return _IDENTIFIER.fullmatch(source) is not None


def fetch(identifier: str, *, trust_remote_code: bool = False, config_only: bool = False) -> Path:
    """The directory of a model on the Hugging Face hub, from the local cache or downloaded; with its config alone.

    Raises:
        InputError: no such model, or the hub cannot be reached.
    """
    wanted = [CONFIG] if config_only else _WANTED
    wanted = [*wanted, "*.py"] if trust_remote_code else wanted
    try:
        return Path(snapshot_download(identifier, allow_patterns=wanted))
    except Exception as error:  # the hub's client raises a dozen kinds, most of them several lines long
        reason = next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), "no reason given")
        raise InputError(
            f"there is no directory {identifier!r} here, and the Hugging Face hub did not give a model of that name "
            f"({type(error).__name__}: {reason})"
        ) from None


def load_pretrained(
    directory: Path, *, trust_remote_code: bool = False, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """The model of a directory, in eval mode on the CPU; in the checkpoint's dtype unless another is given.

    Tensors that its class has no place for are left out, with a `GraphMergeWarning`.

    Raises:
        InputError: no model, only pickle files, damaged or quantised weights, or code that nobody has said to trust.
        ArchitectureMismatch: weights that the model needs are missing from the checkpoint, or have other shapes.
    """
    mergeable_files(directory)
    config = read_config(directory)
    with quiet_transformers():
        model_class = _model_class(directory, config, trust_remote_code)
        try:
            loaded: Any = model_class.from_pretrained(
                str(directory),
                dtype=dtype or "auto",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, with both shapes
            )
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise InputError(
                f"{directory} cannot be loaded as {model_class.__name__}: {reason or repr(error)}"
            ) from error
    model, info = loaded
    _check_complete(directory, model_class.__name__, info)
    if unused := sorted(info["unexpected_keys"]):
        warnings.warn(unused_text(directory, model_class.__name__, unused), GraphMergeWarning, stacklevel=3)
    return model.eval()


def unused_text(directory: Path, architecture: str, names: list[str]) -> str:
    """The warning about tensors that a class does not take."""
    return f"{directory} holds tensors that {architecture} has no place for; they are left out: {listed(names)}"


def mergeable_files(directory: Path) -> list[Path]:
    """The safetensors files of a Hugging Face directory whose weights can be averaged.

    Raises:
        InputError: no model, only pickle files, or quantised weights.
    """
    if "quantization_config" in read_config(directory):
        raise InputError(f"{directory} holds quantised weights, which cannot be averaged; load the unquantised model")
    return weight_files(directory)


def build_without_weights(directory: Path, *, trust_remote_code: bool = False) -> PreTrainedModel:
    """The model that a config.json describes, in eval mode on the meta device: shapes, and no values.

    Raises:
        InputError: no config that names its class, code that nobody has said to trust, or it cannot be built so.
    """
    with quiet_transformers():
        model_class: Any = _model_class(directory, read_config(directory), trust_remote_code)
        try:
            config = model_class.config_class.from_pretrained(
                str(directory), local_files_only=True, trust_remote_code=trust_remote_code
            )
            with torch.device("meta"):
                return model_class(config).eval()
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "")
            raise InputError(
                f"no {model_class.__name__} can be built from the config of {directory} alone: {reason or repr(error)}"
            ) from error


def _check_complete(directory: Path, architecture: str, info: dict[str, Any]) -> None:
    if mismatched := sorted(info["mismatched_keys"]):
        name, found, expected = mismatched[0]
        raise ArchitectureMismatch(
            f"{directory}: {name} has shape {tuple(found)}, but its config.json makes a {architecture} "
            f"with {tuple(expected)}"
        )
    if missing := sorted(info["missing_keys"]):
        raise ArchitectureMismatch(
            f"{directory} lacks weights of {architecture}, which its config.json names, and they would be random: "
            f"{listed(missing)}; name the class that was trained under architectures"
        )


def _model_class(directory: Path, config: dict[str, Any], trust_remote_code: bool) -> type[PreTrainedModel]:
    architectures = config.get("architectures")
    if not architectures:
        raise InputError(
            f'{directory}/config.json does not name its class; add one, such as "architectures": ["BertForMaskedLM"]'
        )
    name = architectures[0]
    known = getattr(transformers, name, None)
    if isinstance(known, type) and issubclass(known, PreTrainedModel):
        return known
    remote = [str(reference) for reference in config.get("auto_map", {}).values()]
    reference = next((r for r in remote if r.rpartition(".")[2] == name), None)
    if reference is None:
        raise InputError(
            f"{directory}/config.json names the class {name}, which transformers {transformers.__version__} lacks"
        )
    if not trust_remote_code:
        raise InputError(
            f"{directory} brings its own code for {name}, which is not run; read it, and if you trust it, "
            "allow it with trust_remote_code=True (--trust-remote-code)"
        )
    return get_class_from_dynamic_module(reference, str(directory))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no reports of transformers inside; its settings are as before afterwards."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
