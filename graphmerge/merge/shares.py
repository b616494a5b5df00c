"""How much each model counts in a merge, tensor by tensor."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import torch

from graphmerge.errors import InputError
from graphmerge.merge.combine import CHUNK, combine

Interpolation = Literal["linear", "slerp"]
CHORD = 1 - 1e-9  # cosine from which on an arc is its chord


@dataclass(frozen=True)
class Shares:
    """``weights``, one a model, and for some keys others (``by_key``); every set of them sums to 1. Tensors of the keys
    in ``kept`` are those of the model with that number, whatever they hold.

    ``slerp`` goes along the arc between two tensors instead of the chord: of A and B at angle θ it takes
    ``sin((1-t)θ)/sin θ · A + sin(tθ)/sin θ · B``, t being the weight of B (Shoemake, Animating rotation with quaternion
    curves, SIGGRAPH 1985), so that the length of the result lies between theirs.

    Raises:
        InputError: weights that do not fit, ``slerp`` of other than two models.
    """

    weights: tuple[float, ...]
    method: Interpolation = "linear"
    by_key: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in get_args(Interpolation):
            raise InputError(f"merge method {self.method!r} is unknown; it is {' or '.join(get_args(Interpolation))}")
        if self.method == "slerp" and len(self.weights) != 2:
            raise InputError(f"slerp merges two models; got {len(self.weights)}, which linear merges")
        for weights in (self.weights, *self.by_key.values()):
            check_weights(weights, len(self.weights))
        object.__setattr__(self, "by_key", MappingProxyType(dict(self.by_key)))
        object.__setattr__(self, "kept", MappingProxyType(dict(self.kept)))

    def merged(self, key: str, tensors: Sequence[torch.Tensor], out: torch.Tensor | None = None) -> torch.Tensor:
        """The aligned tensors of one key as one, with the dtype and device of the first; ``out`` as in `combine`."""
        if key in self.kept:
            return tensors[self.kept[key]].to(tensors[0], copy=True)
        return combine(tensors, self.of(key, tensors), out=out)

    def of(self, key: str, tensors: Sequence[torch.Tensor]) -> tuple[float, ...]:
        """The factors of the aligned tensors of one key, for `combine`."""
        weights = self.by_key.get(key, self.weights)
        return weights if self.method == "linear" or 1 in weights else _arc(tensors[0], tensors[1], weights[1])


def kept_keys(patterns: Sequence[str], keep_from: int, ties: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """`Shares.kept` for globs over names of tensors; what is tied to a tensor is kept with it.

    Args:
        keep_from: the number of the model whose tensors are kept.
        ties: for every key of the first model, all the keys that name the same tensor.

    Raises:
        InputError: a pattern names nothing.
    """
    found = {}
    for pattern in patterns:
        keys = named_tensors(pattern, ties)
        found |= {name: keep_from for key in keys for name in ties[key]}
    return found


def named_tensors(pattern: str, keys: Collection[str]) -> list[str]:
    """The keys that a glob names.

    Raises:
        InputError: it names none.
    """
    found = [key for key in keys if fnmatch.fnmatchcase(key, pattern)]
    if not found:
        few = ", ".join(list(keys)[:3])
        raise InputError(f"no tensor is called {pattern!r}; there are {few} ...; * stands for anything")
    return found


def check_kept(keep: Sequence[str], keep_from: int, count: int) -> None:
    """``keep_from`` is the number of one of ``count`` models, and says something.

    Raises:
        InputError: it is not, or nothing is kept.
    """
    if not 0 <= keep_from < count:
        raise InputError(f"keep_from is {keep_from}; the models are numbered 0 to {count - 1}")
    if keep_from and not keep:
        raise InputError("keep_from says whose tensors 'keep' keeps, and nothing is kept")


def check_weights(weights: Sequence[float], count: int) -> None:
    """``count`` finite numbers that sum to 1.

    Raises:
        InputError: they are not.
    """
    if len(weights) != count:
        raise InputError(f"{count} models need {count} weights; got {len(weights)}")
    if not all(math.isfinite(w) for w in weights):
        raise InputError(f"the weights must be finite numbers; got {list(weights)}")
    if not math.isclose(sum(weights), 1, abs_tol=1e-6):  # of the largest numbers the sum is infinite, fsum an error
        raise InputError(f"the weights must sum to 1; {list(weights)} sum to {sum(weights):g}")


def _arc(a: torch.Tensor, b: torch.Tensor, t: float) -> tuple[float, float]:
    """The factors of A and B on the arc; those of the chord where the two are parallel, opposite or zero."""
    if not (a.is_floating_point() or a.is_complex()):
        return 1 - t, t
    lengths = math.sqrt(_inner(a, a) * _inner(b, b))
    cosine = _inner(a, b) / lengths if lengths else 1.0
    if not math.isfinite(cosine) or abs(cosine) >= CHORD:
        return 1 - t, t
    angle = math.acos(cosine)
    return math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)


def _inner(a: torch.Tensor, b: torch.Tensor) -> float:
    """The inner product of all entries, in float64."""
    pairs = zip(*(_real(x).reshape(-1).split(CHUNK) for x in (a, b.to(a.device))))
    return math.fsum(float(torch.dot(x.double(), y.double())) for x, y in pairs)


def _real(x: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x
