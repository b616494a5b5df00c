"""What a checkpoint directory holds: its config, its weight files, their digests. No tensor is read here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from graphmerge.checkpoint.wording import listed
from graphmerge.errors import InputError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PROVENANCE = "graphmerge.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not readable JSON ({error})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path} holds a {type(data).__name__}, expected a JSON object")
    return data


def read_config(directory: Path) -> dict[str, Any]:
    """The config.json of a Hugging Face directory.

    Raises:
        InputError: the directory is no model that from_pretrained loads.
    """
    if (directory / CONFIG).is_file():
        return read_json(directory / CONFIG)
    if (directory / "adapter_config.json").is_file():
        raise InputError(f"{directory} holds an adapter, not a model; merge it into its base model and save that")
    if (directory / PROVENANCE).is_file():
        raise InputError(
            f"{directory} holds weights without {CONFIG}, because they belong to no Hugging Face class; "
            "read them with graphmerge.checkpoint.load_state into a module of your own, in a file.py:factory"
        )
    raise InputError(f"{directory} is no model: it has no {CONFIG}; expected a directory that save_pretrained wrote")


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files that hold the weights, in the order of their names.

    Raises:
        InputError: there are none, only pickle files, or a shard that the index names is missing.
    """
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / INDEX).is_file():
        names = sorted(set(read_json(directory / INDEX).get("weight_map", {}).values()))
        if missing := [name for name in names if not (directory / name).is_file()]:
            raise InputError(f"{directory} is incomplete: {INDEX} names {listed(missing)}, which is not there")
        return [directory / name for name in names]
    if pickles := sorted(p for p in directory.iterdir() if p.suffix in PICKLES):
        raise refuse_pickle(pickles[0])
    raise InputError(f"{directory} holds no weights: expected {WEIGHTS} or {INDEX} (pickle files are not fetched)")


def has_weights(directory: Path) -> bool:
    """Is there anything that looks like weights, if only pickle files?"""
    named = any((directory / name).is_file() for name in (WEIGHTS, INDEX))
    return named or any(p.suffix in (*PICKLES, ".safetensors") for p in directory.iterdir())


def refuse_pickle(path: Path) -> InputError:
    """The error for a pickle file, with the command that makes safetensors of it.

    A pickle runs whatever code its author put in; the commands read it with ``weights_only``.
    """
    architecture = _architecture_beside(path)
    if architecture:
        folder, out = str(path.parent), f"{path.parent}-safetensors"
        code = f"import transformers as t; t.{architecture}.from_pretrained({folder!r}).save_pretrained({out!r})"
    else:
        out = str(path.with_suffix(".safetensors"))
        code = (
            "import torch; from safetensors.torch import save_file; "
            f"save_file({{k: v.clone() for k, v in torch.load({str(path)!r}, weights_only=True).items()}}, {out!r})"
        )
    return InputError(
        f"{path} is a pickle file, which may run any code when it is read; if you trust it, "
        f'convert it with: python -c "{code}"'
    )


def _architecture_beside(path: Path) -> str | None:
    config = path.parent / CONFIG
    architectures = read_json(config).get("architectures") if config.is_file() else None
    return architectures[0] if architectures else None


def digest(directory: str | Path) -> dict[str, str]:
    """SHA-256 of every weight file of a checkpoint directory, or of one safetensors file: ``{file name: hex}``.

    Raises:
        InputError: no such path, or no weights in it.
    """
    path = Path(directory)
    if not path.exists():
        raise InputError(f"there is nothing at {path}")
    found = {}
    for file in weight_files(path) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found
