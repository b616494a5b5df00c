"""The specs that come with the library: one a family, found by the model type of a config."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from graphmerge.errors import SpecError
from graphmerge.spec.wording import nearest

PACKAGED = "packaged"  # the spec of the model's own family, where a name is wanted


def packaged_names() -> tuple[str, ...]:
    """The families, as configs call them under ``model_type``."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")))


def packaged_text(name: str) -> str:
    """The text of the spec of a family.

    Raises:
        SpecError: there is none of that name.
    """
    if name not in packaged_names():
        known = packaged_names()
        hint = nearest(name, known) or f"; there are {', '.join(known)}"
        raise SpecError(f"no spec is packaged for {name!r}{hint}")
    return (_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def _folder() -> Traversable:
    return files("graphmerge") / "specs"
