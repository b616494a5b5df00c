"""The options of matching, the same for every command that matches: one for each field of `MatchOptions`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from graphmerge.errors import InputError
from graphmerge.match import MatchOptions
from graphmerge.match.options import MEANINGS

FLAGS = {
    "absolute": "--absolute",
    "special_tokens": "--special-tokens/--no-special-tokens",
    "allow_unsound": "--allow-unsound",
}


def with_match_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of `MatchOptions`, which it gets together as ``options``."""
    fields = {field.name: field for field in dataclasses.fields(MatchOptions)}
    kinds = get_type_hints(MatchOptions) | {"special_ids": str | None}

    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in fields}
        chosen["special_ids"] = _ids(chosen["special_ids"])
        command(**given, options=MatchOptions(**chosen))

    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if name == "special_ids" else field.default,
            annotation=Annotated[kinds[name], _option(name)],
        )
        for name, field in fields.items()
    ]
    own = inspect.signature(command, eval_str=True)
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.parameters.values() if p.name != "options"]
    place = next(k for k, p in enumerate(kept) if p.name == "similarity") + 1
    parameters = [*kept[:place], *added, *kept[place:]]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _option(name: str) -> Any:
    flags = [FLAGS[name]] if name in FLAGS else []
    return typer.Option(*flags, help=MEANINGS[name].replace("`", ""))


def _ids(text: str | None) -> tuple[int, ...]:
    """``101,102``."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"special_ids {text!r} are no ids; write numbers with commas between, as in 101,102") from None
