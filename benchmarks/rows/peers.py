"""The environment of the other tools, which `make peers` makes."""

from __future__ import annotations

from pathlib import Path

HOME = Path(__file__).parents[2] / ".venv-peers"
MISSING = f"{HOME.name} is missing; `make peers` makes it"


def program(name: str) -> str | None:
    """The path of a program there; None if it is not installed."""
    path = HOME / "bin" / name
    return str(path) if path.exists() else None


def packages() -> Path | None:
    """Where its packages are; None if there are none."""
    return next(HOME.glob("lib/python*/site-packages"), None)


def version(name: str) -> str:
    """The version of a package there."""
    import importlib.metadata

    place = packages()
    found = importlib.metadata.distributions(name=name, path=[] if place is None else [str(place)])
    return next((f"{name} {d.version}" for d in found), name)
