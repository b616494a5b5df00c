"""Inputs that a Hugging Face model runs on, from what its class and config say.

Text gets ids; pictures, sound and series get random numbers. Where a picture or a sound stands for some of the tokens
of a text, its token is in the ids as often as it has features.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final

import torch

from graphmerge.errors import TraceError
from graphmerge.trace.asked import Asked, text_config
from graphmerge.trace.forms import Form, audio_forms, feature_forms, image_forms, series_forms, video_forms
from graphmerge.trace.inputs import HOW, LENGTHS, LIMITS, Inputs

KINDS: Final[dict[str, Callable[[Asked], list[Form]]]] = {
    "image": image_forms,
    "audio": audio_forms,
    "video": video_forms,
    "feature": feature_forms,
}
TYPES: Final = {"image": 1, "audio": 3, "video": 2}  # what may stand in a text, as in mm_token_type_ids
CHOICES: Final = 2
START: Final = 2  # ids of text before what stands for a picture


def default_inputs(model: torch.nn.Module) -> Inputs:
    """Ids, pixels or features that a Hugging Face model's class and config ask for.

    Where these leave several forms open, the model is run on one after the other, and the first that it takes is given;
    the likeliest if it takes none.

    Raises:
        TraceError: the model says nothing about its inputs.
    """
    asked = Asked.of(model)
    found = [{**form, **_decoder(asked)} for form in _candidates(asked)]
    found = [form for form in found if form]
    if not found:
        names = " and ".join(asked.main)
        raise TraceError(f"no example inputs are known for {type(model).__name__}, which takes {names}; {HOW}")
    return Inputs((), found[0] if len(found) == 1 else _first_that_runs(model, found))


def _candidates(asked: Asked) -> Iterator[Form]:
    """Arguments apart from those of a decoder."""
    if "input_ids" in asked.accepted and ("input_ids" in asked.main or _has_text(asked)):
        yield from _with_text(asked)
    elif series := series_forms(asked):
        yield from series
    else:
        kinds = [forms for make in KINDS.values() if (forms := make(asked))]
        yield from kinds[0] if kinds else ()


def _has_text(asked: Asked) -> bool:
    """Does a model of pictures or sound read text as well?"""
    return text_config(asked.config) is not asked.config or hasattr(asked.config, "vocab_size")


def _with_text(asked: Asked) -> Iterator[Form]:
    """Ids, and what goes with them."""
    chosen: Form = {}
    stands: dict[str, torch.Tensor] = {}
    open_forms: list[list[Form]] = []
    for kind in TYPES:
        forms = KINDS[kind](asked)
        if not forms or (kind == "video" and (chosen or open_forms)):
            continue
        features = _features(asked.model, kind)
        form, count = _measured(features, forms, _ids(asked)) if features else (None, 0)
        if form is None:
            open_forms.append(forms)
            continue
        chosen |= form
        if (token := _token(asked, kind)) is not None:
            stands[kind] = torch.full((1, count), token)
    for forms in product(*open_forms):
        form = dict(chosen)
        for more in forms:
            form |= more
        yield from (form | texts for texts in _texts(asked, stands))
    if chosen and open_forms:  # without those that nothing is known to go with
        yield from (chosen | texts for texts in _texts(asked, stands))
    if "input_ids" in asked.main and (chosen or open_forms):  # a text alone, where nothing is known to go with it
        yield from _texts(asked, {})


def _features(model: torch.nn.Module, kind: str) -> Callable[..., Any] | None:
    """What a model, or the first of the models inside it that can, turns a picture or a sound into."""
    return next((f for m in model.modules() if callable(f := getattr(m, f"get_{kind}_features", None))), None)


def _measured(features: Callable[..., Any], forms: list[Form], ids: torch.Tensor) -> tuple[Form | None, int]:
    """The first form that gives features, and how many rows of them."""
    names = inspect.signature(features).parameters
    for form in forms:
        try:
            with torch.no_grad():
                given = form | {"input_ids": ids}
                found = features(**{n: t for n, t in given.items() if n in names})
        except Exception:  # whatever a model raises on a form that it does not take
            continue
        return form, _rows(found)
    return None, 0


def _rows(found: Any) -> int:
    """Rows of the features of one picture or sound: a tensor's, or those of several tensors."""
    found = found if isinstance(found, (torch.Tensor, list, tuple)) else _main(found)
    if isinstance(found, torch.Tensor):
        return found.numel() // found.shape[-1]
    return sum(_rows(f) for f in found) if isinstance(found, (list, tuple)) else 0


def _main(found: Any) -> Any:
    """What stands for tokens in the named results of a tower: what was made for a text, else its last layer."""
    return next((v for n in ("pooler_output", "last_hidden_state") if (v := getattr(found, n, None)) is not None), None)


def _token(asked: Asked, kind: str) -> int | None:
    tokens = asked.tokens
    return next((tokens[n] for n in (f"{kind}_token_id", f"{kind}_token_index") if n in tokens), None)


def _texts(asked: Asked, stands: dict[str, torch.Tensor]) -> Iterator[Form]:
    """Ids with the tokens of pictures and sounds in them; then such ids for each of two answers to choose from."""
    ids = _ids(asked)
    types = torch.zeros_like(ids)
    for kind, tokens in stands.items():
        ids = torch.cat([ids[:, :START], tokens, ids[:, START:]], 1)
        types = torch.cat([types[:, :START], torch.full_like(tokens, TYPES[kind]), types[:, START:]], 1)
    typed = bool(stands) and "mm_token_type_ids" in asked.accepted
    yield {"input_ids": ids} | ({"mm_token_type_ids": types} if typed else {})
    if "num_choices" in (asked.model.forward.__doc__ or ""):
        yield {"input_ids": ids[:, None].repeat(1, CHOICES, 1)}


def _decoder(asked: Asked) -> Form:
    if "decoder_input_ids" not in asked.accepted:
        return {}
    return {"decoder_input_ids": _ids(asked, getattr(asked.config, "decoder", None))}


def _ids(asked: Asked, config: Any = None) -> torch.Tensor:
    """(1, length) ids that differ and are no special ones, as far as the vocabulary goes; the last one ends a text."""
    config = text_config(asked.config) if config is None else config
    vocabulary = getattr(config, "vocab_size", None) or 100
    limits = [getattr(config, name, None) for name in LIMITS]
    length = min([LENGTHS[0], *(n for n in limits if isinstance(n, int) and n > 1)])
    special = set(asked.tokens.values())
    plain = [k for k in range(vocabulary) if k not in special] or [*range(vocabulary)]
    ids = torch.tensor([plain[(5 * k + 3) % len(plain)] for k in range(length)])
    end = getattr(config, "eos_token_id", None)
    if type(end) is int and 0 <= end < vocabulary:
        ids[-1] = end
    return ids[None]


def _first_that_runs(model: torch.nn.Module, forms: list[Form]) -> Form:
    for form in forms:
        try:
            with torch.no_grad():
                model(**form)
        except Exception:  # whatever a model raises on a form that it does not take
            continue
        return form
    return forms[0]
