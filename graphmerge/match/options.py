"""Choices of how two models are matched: those that Verma and Elbayad (arXiv 2403.00986) vary, for any model.

The command line and recipes have them under the same names; ``docs/matching.md`` says what each of them means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from graphmerge.errors import InputError
from graphmerge.spec.wording import nearest
from graphmerge.stats.positions import Level

Similarity = Literal["correlation", "covariance", "inner_product"]
ResidualFeatures = Literal["all", "first", "last", "separate"]
Heads = Literal["permuted", "in_place", "ignored"]
HeadFeatures = Literal["both", "query_key", "value"]

LEAST_SHARE: Final = 0.001
MOST_STEPS: Final = 10**6
UNSOUND: Final = (("residual_features", "separate"), ("heads", "ignored"))  # what changes the function
OF_ACTIVATIONS: Final = (
    "similarity", "absolute", "level", "residual_features", "head_features", "special_tokens", "special_ids",
)  # fmt: skip


# what each option means, for the help of the command line and the table of recipes
MEANINGS: Final = {
    "absolute": "Similarities count by their absolute values.",
    "level": (
        "One sample is a `token`, or a whole row: by its first position that counts (`cls`), its `max` or its `mean`."
    ),
    "residual_features": (
        "The residual is matched by `all` the places where it is read (the outputs of norms), the `first`, or the "
        "`last`; `separate`: by a permutation for each place, which changes the function."
    ),
    "heads": (
        "Heads are `permuted` with what is inside them, stay `in_place` while that moves, or are `ignored`: one "
        "permutation over the units of all of them, which changes the function."
    ),
    "head_features": "By what heads are told apart: `query_key`, `value`, or `both`.",
    "special_tokens": "Whether special tokens count; if not, those of `special_ids` are left out.",
    "special_ids": "Ids that do not count without `special_tokens`; else those of the tokenizer.",
    "share": "How much of the calibration data is taken, of its rows, drawn with the seed: 0.001 to 1.",
    "refine": (
        "Steps of gradient descent on the loss halfway between the models, by which units change places after all; "
        "never for the worse on batches held out. By default 64 where no groups are given, else none."
    ),
    "allow_unsound": "Take options that change the function; what comes of them says so.",
}


@dataclass(frozen=True)
class MatchOptions:
    """How to match; the defaults are what `match` does without options. `MEANINGS` says what each of them is.

    What is inside a head has features of its own, whatever ``head_features`` tell heads apart by. ``special_ids`` must
    be given here: there is no tokenizer.

    Raises:
        InputError: a value that is unknown, or out of range.
    """

    absolute: bool = False
    level: Level = "token"
    residual_features: ResidualFeatures = "all"
    heads: Heads = "permuted"
    head_features: HeadFeatures = "both"
    special_tokens: bool = True
    special_ids: tuple[int, ...] = ()
    share: float = 1.0
    refine: int | None = None
    allow_unsound: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "special_ids", tuple(self.special_ids))
        for name, kind in get_type_hints(type(self)).items():
            if get_origin(kind) is Literal:
                check_word(name, getattr(self, name), get_args(kind))
            elif kind is bool and not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}; it is true or false")
        if not all(isinstance(i, int) and i >= 0 for i in self.special_ids):
            raise InputError(f"special_ids are ids of tokens, 0 or more; got {list(self.special_ids)}")
        if self.refine is not None and not 0 <= self.refine <= MOST_STEPS:
            raise InputError(f"refine is {self.refine}; it is a number of steps from 0 to {MOST_STEPS:,}")
        if not isinstance(self.share, int | float) or not LEAST_SHARE <= self.share <= 1:
            raise InputError(f"share is {self.share}; it lies between {LEAST_SHARE:g} and 1")

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

    def check(self, method: str, similarity: str, *, has_data: bool) -> None:
        """Raises:
        InputError: the first of the `mistakes`.
        """
        for _, mistake in self.mistakes(method, similarity, has_data=has_data):
            raise InputError(mistake)

    def mistakes(self, method: str, similarity: str, *, has_data: bool) -> Iterator[tuple[str, str]]:
        """What means nothing together: the option, and what is wrong with it."""
        chosen = dict.fromkeys(self.changed, True) | {"similarity": similarity != "correlation"}
        for name in OF_ACTIVATIONS:
            if chosen.get(name) and method != "activations":
                yield name, f"{name} is about activations, and matching by {method} reads none"
        if self.refine and (method == "identity" or not has_data):
            lacks = "the identity is left as it is" if method == "identity" else "there is no calibration data"
            yield "refine", f"refine goes by the loss on calibration data, and {lacks}"
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
        for what in () if self.allow_unsound else self.unsound:
            yield what.partition(":")[0], f"{what} {CHANGES}; to do so all the same, add allow_unsound: true"


CHANGES: Final = "changes the function of the model"


def check_word(name: str, value: Any, known: tuple[Any, ...]) -> None:
    """Raises:
    InputError: ``value`` is none of the known words.
    """
    if value not in known:
        hint = nearest(str(value), map(str, known))
        raise InputError(f"{name} {value!r} is unknown; it is one of {', '.join(map(str, known))}{hint}")
