"""Writing a merged model: a directory that appears whole or not at all, and says what it was made of."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_model as save_tensors
from torch import nn
from transformers import PreTrainedModel

import graphmerge
from graphmerge.checkpoint.directory import CONFIG, INDEX, PROVENANCE, WEIGHTS, digest, read_json
from graphmerge.checkpoint.factory import factory_file, is_factory
from graphmerge.checkpoint.load import Loaded
from graphmerge.checkpoint.pretrained import quiet_transformers
from graphmerge.checkpoint.shards import Entry, lay_out, read_metadata, write_tensor
from graphmerge.checkpoint.wording import listed
from graphmerge.errors import InputError
from graphmerge.files import order_metadata, set_usual_mode
from graphmerge.symmetry import Permutations

FORMAT = 1
PERMUTATIONS = "permutations.safetensors"
_COPIED = (".json", ".txt", ".model", ".jinja", ".tiktoken")


def provenance(
    inputs: Sequence[str | Path | Loaded], options: Mapping[str, Any] | None = None, permutations: str | None = None
) -> dict[str, Any]:
    """What a merged model was made of: each input as it was typed, with the SHA-256 of its weight files.

    A model that a factory built has the digests of its file and of its weights (``state_dict``). A text that is no path
    has none. ``permutations`` names the file that holds them.
    """
    return {
        "inputs": [{"path": i.source if isinstance(i, Loaded) else str(i), "sha256": _digests(i)} for i in inputs],
        "options": dict(options or {}),
        "permutations": permutations,
    }


def _digests(given: str | Path | Loaded) -> dict[str, str]:
    if not isinstance(given, Loaded):
        return digest(given) if Path(given).exists() else {}
    if given.directory is not None:
        return digest(given.directory)
    found = {"state_dict": state_digest(given.model.state_dict())}
    if is_factory(given.source):
        file = factory_file(given.source)
        found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def state_digest(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, dtypes, shapes and values, in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def save_model(
    model: nn.Module,
    directory: str | Path,
    *,
    like: str | Path | None = None,
    provenance: Mapping[str, Any],
    permutations: Permutations | None = None,
    force: bool = False,
) -> None:
    """Write a directory that from_pretrained loads, with ``graphmerge.json`` beside the weights.

    A module that is no Hugging Face model gets ``model.safetensors`` and ``graphmerge.json``; `load_state` reads it
    back. Everything is written to a hidden directory beside, then renamed: an interrupt or a full disk leaves nothing.
    The same model and provenance give the same bytes.

    Args:
        like: a source directory, whose tokenizer and config files are copied.
        provenance: what `graphmerge.checkpoint.provenance` returns.
        permutations: written along, as ``permutations.safetensors``.
        force: replace a model directory that exists.

    Raises:
        InputError: the directory exists (or, with ``force``, is no model directory), or cannot be written; no ``like``.
    """
    with model_directory(directory, like=like, provenance=provenance, permutations=permutations, force=force) as beside:
        write_module(model, beside)


@contextmanager
def model_directory(
    directory: str | Path,
    *,
    like: str | Path | None,
    provenance: Mapping[str, Any],
    permutations: Permutations | None = None,
    force: bool = False,
) -> Iterator[Path]:
    """`save_model` but for the weights: those are written inside, to the directory that is given."""
    target = Path(directory)
    check_target(target, force)
    if like is not None and not Path(like).is_dir():
        raise InputError(f"there is no directory {like} to copy the tokenizer and config from")
    header = {"format": FORMAT, "graphmerge": graphmerge.__version__}
    header |= {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    try:
        with _directory_beside(target) as beside:
            yield beside
            for file in beside.glob("*.safetensors"):
                set_usual_mode(file)
                order_metadata(file)
            if permutations is not None:
                permutations.save(beside / PERMUTATIONS)
            if like is not None:
                _copy_files(Path(like), beside)
            text = json.dumps({**header, **provenance}, indent=2, sort_keys=True)
            (beside / PROVENANCE).write_text(text + "\n", encoding="utf-8")
    except (OSError, SafetensorError, ValueError) as error:  # transformers refuses some configs with a ValueError
        raise InputError(f"{target} could not be written ({error}); nothing was left behind") from error


def write_module(model: nn.Module, directory: Path, shard_size: int | None = None) -> None:
    """The weights and the config of a module, in files of ``shard_size`` bytes at most where that is known."""
    if isinstance(model, PreTrainedModel):
        with quiet_transformers():
            if shard_size is None:
                model.save_pretrained(directory)
            else:
                model.save_pretrained(directory, max_shard_size=shard_size)
    else:
        save_tensors(model, str(directory / WEIGHTS))  # keeps one of a tied tensor's names, the others as metadata


def write_entries(
    directory: Path,
    like: Path,
    entries: Mapping[str, Entry],
    tensors: Iterable[Mapping[str, torch.Tensor]],
    shard_size: int | None = None,
) -> None:
    """Weights under the names and in the dtypes of ``entries``, as ``tensors`` gives them, some at a time in any order.

    They are laid out in files as there, or in files of ``shard_size`` bytes at most (but for a larger tensor); where
    there is more than one, an index beside them says what is where.
    """
    lengths = {name: entry.length for name, entry in entries.items()}
    files = _same_files(entries) if shard_size is None else sharded(lengths, shard_size)
    places: dict[str, Entry] = {}
    for file, names in files.items():
        layout = {name: (entries[name].dtype, entries[name].shape) for name in names}
        places |= lay_out(directory / file, layout, read_metadata(entries[names[0]].file))
    for some in tensors:
        for name, tensor in some.items():
            write_tensor(places.pop(name), name, tensor)
    if places:
        raise InputError(f"nothing was given for {listed(list(places))}")
    if list(files) == [WEIGHTS]:
        return
    known = read_json(like / INDEX).get("metadata", {}) if (like / INDEX).is_file() else {}
    known["total_size"] = sum(lengths.values())
    index = {"metadata": known, "weight_map": {name: file for file, names in files.items() for name in names}}
    (directory / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _same_files(entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for name, entry in entries.items():
        files.setdefault(entry.file.name, []).append(name)
    return files


def sharded(lengths: Mapping[str, int], limit: int) -> dict[str, list[str]]:
    """Tensors of these lengths in files of ``limit`` bytes at most, but for a longer tensor; in the order given."""
    shards: list[list[str]] = [[]]
    room = limit
    for name, length in lengths.items():
        if length > room and shards[-1]:
            shards.append([])
            room = limit
        shards[-1].append(name)
        room -= length
    if len(shards) == 1:
        return {WEIGHTS: shards[0]}
    return {f"model-{n:05}-of-{len(shards):05}.safetensors": names for n, names in enumerate(shards, start=1)}


def files_along(source: Path, directory: Path | None = None) -> list[Path]:
    """The tokenizer and config files of a model; its own code too, where its config needs it.

    ``directory`` may hold the config of a model that was made of it.
    """
    configs = [folder / CONFIG for folder in (source, directory) if folder and (folder / CONFIG).is_file()]
    suffixes = (*_COPIED, ".py") if any("auto_map" in read_json(config) for config in configs) else _COPIED
    found = [path for path in sorted(source.iterdir()) if path.suffix in suffixes and path.is_file()]
    return [path for path in found if not path.name.endswith(".index.json") and not path.name.startswith("graphmerge")]


def _copy_files(source: Path, directory: Path) -> None:
    """What comes along, but for what is there already."""
    for path in files_along(source, directory):
        if not (directory / path.name).exists():
            shutil.copyfile(path, directory / path.name)


def check_target(target: Path, force: bool) -> None:
    """A directory may be written here: nothing is there, or a model that ``force`` lets be replaced.

    Raises:
        InputError: it may not.
    """
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise InputError(f"{target} is a file; name a directory to write to")
    if not force:
        raise InputError(f"{target} exists already; name another directory, or replace it with force=True (--force)")
    if any(target.iterdir()) and not any((target / name).exists() for name in (CONFIG, PROVENANCE, WEIGHTS)):
        raise InputError(f"{target} holds other things than a model and is not replaced; name another directory")


@contextmanager
def _directory_beside(target: Path) -> Iterator[Path]:
    """A fresh directory in the same folder; takes the place of ``target`` on success, is removed on failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    beside = target.with_name(f".{target.name}.{token}.part")
    old = target.with_name(f".{target.name}.{token}.old")
    try:
        beside.mkdir()
        yield beside
        try:
            if os.path.lexists(target):
                os.rename(target, old)
            os.rename(beside, target)
        except BaseException:
            if os.path.lexists(old) and not os.path.lexists(target):
                os.rename(old, target)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
