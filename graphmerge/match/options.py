"""Choices of how two models are matched: those that Verma and Elbayad (arXiv 2403.00986) vary, for any model.

The command line and recipes have them under the same names; ``docs/matching.md`` says what each of them means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args, get_type_hints

from graphmerge.errors import InputError
from graphmerge.spec.wording import nearest
from graphmerge.stats.positions import Level

Similarity = Literal["correlation", "covariance", "inner_product"]
ResidualFeatures = Literal["all", "first", "last", "separate"]
Heads = Literal["permuted", "in_place", "ignored"]
HeadFeatures = Literal["both", "query_key", "value"]

LEAST_SHARE: Final = 0.001
UNSOUND: Final = (("residual_features", "separate"), ("heads", "ignored"))  # what changes the function
OF_ACTIVATIONS: Final = (
    "similarity", "absolute", "level", "residual_features", "head_features", "special_tokens", "special_ids",
)  # fmt: skip


@dataclass(frozen=True)
class MatchOptions:
    """How to match; the defaults are what `match` does without options.

    Attributes:
        absolute: similarities count by their absolute values.
        level: what one sample is: every ``token``, or one of every row: its first position that counts (``cls``), or
            the ``max`` or the ``mean`` over those.
        residual_features: the residual is matched by ``all`` the places where it is read (the outputs of norms), by
            the ``first`` or by the ``last``; ``separate``: a permutation for every place, which changes the function.
        heads: ``permuted`` with what is inside them, ``in_place`` (what is inside moves, they do not), or ``ignored``:
            one permutation over the units of all heads together, which changes the function.
        head_features: by which activations heads are told apart: ``query_key``, ``value``, or ``both``. What is inside
            a head has its own in any case.
        special_tokens: False leaves out the positions of ``special_ids``.
        share: of the rows of the data, drawn with the seed.
        allow_unsound: take options that change the function; what comes of them says so.
    """

    absolute: bool = False
    level: Level = "token"
    residual_features: ResidualFeatures = "all"
    heads: Heads = "permuted"
    head_features: HeadFeatures = "both"
    special_tokens: bool = True
    special_ids: tuple[int, ...] = ()
    share: float = 1.0
    allow_unsound: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "special_ids", tuple(self.special_ids))
        for name, kind in get_type_hints(type(self)).items():
            if known := get_args(kind) if kind not in (tuple[int, ...],) else ():
                check_word(name, getattr(self, name), known)
        if not LEAST_SHARE <= self.share <= 1:
            raise InputError(f"share is {self.share:g}; it lies between {LEAST_SHARE:g} and 1")

    @classmethod
    def of(cls, given: MatchOptions | Mapping[str, Any]) -> MatchOptions:
        """The options that a mapping from their names says.

        Raises:
            InputError: a name or value that is unknown.
        """
        if isinstance(given, MatchOptions):
            return given
        for name in given:
            check_word("option", name, tuple(field.name for field in fields(cls)))
        return cls(**given)

    @property
    def unsound(self) -> tuple[str, ...]:
        """The options that change the function, as ``name: value``."""
        return tuple(f"{name}: {value}" for name, value in UNSOUND if getattr(self, name) == value)

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the options that are not what they are by default."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) != field.default)

    def mistakes(self, method: str, similarity: str, *, has_data: bool) -> Iterator[tuple[str, str]]:
        """What means nothing together: the option, and what is wrong with it."""
        chosen = dict.fromkeys(self.changed, True) | {"similarity": similarity != "correlation"}
        for name in OF_ACTIVATIONS:
            if chosen.get(name) and method != "activations":
                yield name, f"{name} is about activations, and matching by {method} reads none"
        if chosen.get("share") and not has_data:
            yield "share", "share is a share of the calibration data, and there is none"
        if chosen.get("heads") and method == "identity":
            yield "heads", "matching by identity moves no heads"
        if chosen.get("head_features") and self.heads != "permuted":
            yield "head_features", f"head_features tell heads apart, and with heads: {self.heads} none are matched"
        if self.level == "cls" and not self.special_tokens:
            yield "level", "level: cls reads a special token, and special_tokens: false leaves those out"
        if self.special_ids and self.special_tokens:
            yield "special_ids", "special_ids name what special_tokens: false leaves out; say that too"
        if self.unsound and not self.allow_unsound:
            yield (
                self.unsound[0].partition(":")[0],
                f"{self.unsound[0]} {CHANGES}; to do it all the same, allow_unsound",
            )


CHANGES: Final = "does not preserve the function of the model"


def check_word(name: str, value: Any, known: tuple[Any, ...]) -> None:
    """Raises:
    InputError: ``value`` is none of the known words.
    """
    if value not in known:
        hint = nearest(str(value), map(str, known))
        raise InputError(f"{name} {value!r} is unknown; it is one of {', '.join(map(str, known))}{hint}")
