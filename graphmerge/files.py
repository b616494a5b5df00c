"""Writing files so that an interrupt or a full disk never leaves half of one."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from graphmerge.errors import InputError


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """A fresh path in the same folder to write to; renamed to ``path`` on success, removed on failure.

    Raises:
        InputError: ``path`` is a directory, or cannot be written (no such place, no right to, a full disk).
    """
    if path.is_dir():
        raise InputError(f"{path} is a directory; name a file to write")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        set_usual_mode(beside)
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} could not be written ({error}); nothing was left behind") from error
    finally:
        if beside.exists():  # which it cannot in a folder that is none
            beside.unlink()


def write_json(data: Mapping[str, Any], path: str | Path | None = None) -> str:
    """The data as JSON text, written to ``path`` too if one is given.

    Raises:
        InputError: as `write_beside`.
    """
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    if path is not None:
        with write_beside(Path(path)) as beside:
            beside.write_text(text, encoding="utf-8")
    return text


def read_json(source: str | Path) -> tuple[Any, str]:
    """What stands in a JSON text or file, and what to call that place in a message.

    Raises:
        InputError: it is not readable.
    """
    text = str(source)
    where = "the JSON text" if text.lstrip().startswith("{") else text
    try:
        return json.loads(text if where != text else Path(source).read_text(encoding="utf-8")), where
    except (OSError, ValueError) as error:
        raise InputError(f"{where} is not readable JSON ({error})") from None


def order_metadata(path: Path) -> None:
    """Sort the texts in the header of a safetensors file, which the library writes in an order that it draws anew."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:  # the rest is blank; a longer one would not be the library's own
            file.seek(8)
            file.write(text.ljust(length))


def set_usual_mode(path: Path) -> None:
    """The rights that the user's umask gives new files: safetensors writes files that only their owner can read."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
