"""Safetensors files one tensor at a time: in memory is a tensor, never a file and never a model.

Files are read into memory of our own instead of being mapped, so that what was read is given back when it goes. What
is written has the bytes that the safetensors library would write.
"""

from __future__ import annotations

import json
import math
import mmap
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open

from graphmerge.errors import InputError

CHUNK: Final = 1 << 24  # bytes that are compared at once
PAGES: Final = 1 << 20  # bytes from which a tensor gets memory pages of its own

# Names of dtypes in a file, in the order in which the library lays tensors out: the last first.
DTYPES: Final[Mapping[str, torch.dtype]] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "C64": torch.complex64,
    "F64": torch.float64,
    "I64": torch.int64,
    "U64": torch.uint64,
}
_UNITS: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}
_PLACES: Final = {dtype: place for place, dtype in enumerate(DTYPES.values())}


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor stands: ``length`` bytes of ``file`` from ``start`` on."""

    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    length: int


Shape = tuple[torch.dtype, tuple[int, ...]]


def read_entries(files: Iterable[Path]) -> dict[str, Entry]:
    """What the files hold, aliases included (``safetensors.torch.save_model`` keeps those as metadata).

    Raises:
        InputError: a file that is missing or damaged, or a dtype that torch lacks.
    """
    found: dict[str, Entry] = {}
    for file in files:
        if not file.is_file():
            raise InputError(f"there is no file {file}")
        try:
            with safe_open(str(file), framework="pt"):  # the library checks the whole header, and reads no tensor
                pass
        except Exception as error:
            raise InputError(f"{file} is not a whole safetensors file ({error})") from None
        header, start = _read_header(file)
        metadata = header.pop("__metadata__", {})
        here = {name: _entry(file, name, data, start) for name, data in header.items()}
        found |= here
        found |= {alias: here[name] for alias, name in metadata.items() if name in here}
    return found


def read_metadata(file: Path) -> dict[str, str]:
    """The texts beside the tensors of a file."""
    return dict(_read_header(file)[0].get("__metadata__", {}))


def _read_header(file: Path) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors start."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return json.loads(stream.read(length)), 8 + length


def _entry(file: Path, name: str, data: Mapping[str, Any], start: int) -> Entry:
    if data["dtype"] not in DTYPES:
        raise InputError(f"{file}: {name} has the dtype {data['dtype']}, which cannot be merged")
    first, last = data["data_offsets"]
    return Entry(file, DTYPES[data["dtype"]], tuple(data["shape"]), start + first, last - first)


def read_tensor(entry: Entry) -> torch.Tensor:
    """The tensor, in memory of its own.

    Raises:
        InputError: the file has become shorter.
    """
    # pages of its own: what the allocator keeps of many freed tensors of middling size adds up to several large ones
    large = entry.length >= PAGES
    own = torch.frombuffer(mmap.mmap(-1, entry.length), dtype=torch.uint8) if large else None
    raw = torch.empty(entry.length, dtype=torch.uint8) if own is None else own
    with entry.file.open("rb", buffering=0) as stream:
        stream.seek(entry.start)
        view, done = raw.numpy().data, 0
        while done < entry.length:  # one call reads 2 GB at most
            count = stream.readinto(view[done:])
            if not count:
                raise InputError(f"{entry.file} ends in the middle of a tensor; it was changed while it was read")
            done += count
    return raw.view(entry.dtype).reshape(entry.shape)


def same_bytes(one: Entry, other: Entry) -> bool:
    """Whether two stored tensors are equal bit for bit."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    if (one.file, one.start) == (other.file, other.start):
        return True
    with one.file.open("rb") as a, other.file.open("rb") as b:
        a.seek(one.start)
        b.seek(other.start)
        sizes = [min(CHUNK, one.length - done) for done in range(0, one.length, CHUNK)]
        return all(a.read(size) == b.read(size) for size in sizes)


def lay_out(path: Path, layout: Mapping[str, Shape], metadata: Mapping[str, str]) -> dict[str, Entry]:
    """Begin a file of tensors with these dtypes and shapes: all of it but their values, and where those go."""
    names = sorted(layout, key=lambda name: (-_PLACES[layout[name][0]], name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        dtype, shape = layout[name]
        start, end = end, end + bytes_of(dtype, shape)
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
    return {name: _entry(path, name, header[name], 8 + len(text)) for name in names}


def write_tensor(entry: Entry, name: str, tensor: torch.Tensor) -> None:
    """Write the values of a tensor where they go.

    Raises:
        InputError: it has another dtype or shape than the file says.
    """
    found = tensor.detach().cpu()
    if (found.dtype, tuple(found.shape)) != (entry.dtype, entry.shape):
        raise InputError(f"{name} became {found.dtype} {tuple(found.shape)}, not {entry.dtype} {entry.shape}")
    with entry.file.open("r+b", buffering=0) as stream:
        stream.seek(entry.start)
        view, done = found.contiguous().reshape(-1).view(torch.uint8).numpy().data, 0
        while done < entry.length:  # one call writes 2 GB at most
            done += stream.write(view[done:]) or 0


def bytes_of(dtype: torch.dtype, shape: Iterable[int]) -> int:
    """How many bytes a tensor takes.

    >>> bytes_of(torch.bfloat16, (3, 5))
    30
    """
    return math.prod(shape) * dtype.itemsize


def bytes_in(text: str) -> int:
    """A number of bytes as people write it.

    >>> bytes_in("2GB"), bytes_in("500 MB"), bytes_in("1.5kB")
    (2000000000, 500000000, 1500)

    Raises:
        InputError: it is none.
    """
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*([kMG]?B)", text.strip(), re.IGNORECASE)
    if found is None or not (count := int(float(found[1]) * _UNITS[found[2].upper()])):
        raise InputError(f"{text!r} is no size; write a number and kB, MB or GB, as in 2GB")
    return count
