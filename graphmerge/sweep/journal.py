"""The results file of a sweep: a line that says what it belongs to, then one for each finished curve.

A line is written by one call and synced to disk. A process that is killed while it writes leaves at most a line without
its end, which is not read and is cut off by the next run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphmerge.errors import InputError

try:
    import fcntl
except ImportError:  # a system without locks on files
    fcntl = None

FORMAT = "graphmerge.sweep.1"


def read_lines(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first line and the others that are whole.

    Raises:
        InputError: it is no results file of a sweep.
    """
    try:
        whole = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    lines = []
    for number, line in enumerate(whole, start=1):
        try:
            lines.append(json.loads(line))
        except ValueError:
            raise InputError(f"{path}:{number} is no JSON; this is no results file of a sweep") from None
    if not lines or not isinstance(lines[0], dict) or lines[0].get("format") != FORMAT:
        raise InputError(f"{path} holds no results of a sweep; name another file")
    return lines[0], lines[1:]


class Journal:
    """A results file that is open for more lines; ``lines`` are those that were finished before."""

    def __init__(self, file: int, lines: list[dict[str, Any]]) -> None:
        self.file, self.lines = file, lines

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line whole, and wait until it is on the disk."""
        text = json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n"
        while text:
            text = text[os.write(self.file, text) :]
        os.fsync(self.file)


@contextmanager
def open_journal(path: Path, header: Mapping[str, Any]) -> Iterator[Journal]:
    """The results file at ``path``, begun or continued.

    Raises:
        InputError: it is none, belongs to other models, data or options, is being written, or cannot be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
    try:
        _lock(file, path)
        yield _continued(file, path, {"format": FORMAT, **header})
    finally:
        os.close(file)


def _continued(file: int, path: Path, header: dict[str, Any]) -> Journal:
    written = path.read_bytes()
    first = json.dumps(header, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    if first.startswith(written):  # nothing, or a first line that was cut off
        os.ftruncate(file, 0)
        journal = Journal(file, [])
        journal.add(header)
        return journal
    noted, lines = read_lines(path)
    if other := _differences(noted, json.loads(first)):
        raise InputError(
            f"{path} belongs to another sweep: {', '.join(other)} {'is' if len(other) == 1 else 'are'} not the same; "
            "name another file, or remove this one"
        )
    os.ftruncate(file, written.rfind(b"\n") + 1)
    return Journal(file, lines)


def _differences(noted: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The keys that differ, and inside mappings the keys of those.

    >>> _differences({"points": 5, "models": {"a": "1", "b": "2"}}, {"points": 5, "models": {"a": "1", "b": "3"}})
    ['models.b']
    """
    found = []
    for key in dict.fromkeys([*noted, *wanted]):
        ours, theirs = noted.get(key), wanted.get(key)
        if ours != theirs:
            inner = _differences(ours, theirs) if isinstance(ours, dict) and isinstance(theirs, dict) else []
            found += [f"{key}.{name}" for name in inner] or [key]
    return found


def _lock(file: int, path: Path) -> None:
    """One process at a time; the lock goes with the process, however it ends."""
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(f"{path} is being written by another sweep; wait for it, or name another file") from None
