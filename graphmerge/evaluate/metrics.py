"""What can be measured beside the loss: perplexities, and the metrics of classification and regression.

Every metric is of the whole data set: counts and values are collected over all batches and the number is computed once
from them. None is a mean over batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from scipy import stats
from torch import nn

from graphmerge.errors import InputError
from graphmerge.evaluate.batches import IGNORED
from graphmerge.evaluate.formulas import EACH_POSITION, NEXT_TOKEN, Score
from graphmerge.spec.wording import nearest

MOST_CLASSES = 2000  # a table of true by guessed classes takes the square of them


class Tally(Protocol):
    """Collects what was compared, batch by batch; `value` is the metric of all of it."""

    def add(self, score: Score) -> None: ...

    def value(self) -> float: ...


@dataclass(frozen=True)
class Metric:
    """A number beside the loss. ``tally`` collects what it is computed from; None if that is the mean loss alone."""

    name: str
    meaning: str
    higher_is_better: bool
    tally: Callable[[], Tally] | None


class _Accuracy:
    """Right guesses among all that count."""

    def __init__(self) -> None:
        self.right: list[torch.Tensor] = []
        self.count: list[torch.Tensor] = []

    def add(self, score: Score) -> None:
        logits, labels = _classes(score, "accuracy")
        counted = labels != IGNORED
        self.right.append(((logits.argmax(-1) == labels) & counted).sum())
        self.count.append(counted.sum())

    def value(self) -> float:
        return sum(int(n) for n in self.right) / sum(int(n) for n in self.count)


class _Confusion:
    """How often each class (rows) was taken for each (columns)."""

    def __init__(self, name: str, of: Callable[[torch.Tensor], float]) -> None:
        self.name, self.of = name, of
        self.table: torch.Tensor | None = None  # (classes, classes), int64

    def add(self, score: Score) -> None:
        logits, labels = _classes(score, self.name)
        classes = logits.shape[-1]
        if classes > MOST_CLASSES:
            raise InputError(f"{self.name} tells {MOST_CLASSES:,} classes apart at most, not {classes:,}")
        counted = labels != IGNORED
        places = labels[counted] * classes + logits[counted].argmax(-1)
        found = torch.bincount(places, minlength=classes**2).view(classes, classes)
        self.table = found if self.table is None else self.table + found

    def value(self) -> float:
        assert self.table is not None, "there was a batch"
        return self.of(self.table.cpu())


class _Values:
    """All numbers that were predicted, beside the true ones."""

    def __init__(self, name: str, of: Callable[[torch.Tensor, torch.Tensor], float]) -> None:
        self.name, self.of = name, of
        self.guessed: list[torch.Tensor] = []
        self.true: list[torch.Tensor] = []

    def add(self, score: Score) -> None:
        if score.logits is None or score.labels is None or score.logits.shape != score.labels.shape:
            raise InputError(f"{self.name} compares numbers with numbers, as a regression's are; {_found(score)}")
        self.guessed.append(score.logits)
        self.true.append(score.labels)

    def value(self) -> float:
        guessed, true = (torch.cat(parts).double().cpu() for parts in (self.guessed, self.true))
        if len(true) < 2 or bool((true == true[0]).all()):
            raise InputError(f"{self.name} needs labels that differ; those of the {len(true):,} examples do not")
        # the same convention as Matthews': a constant guess says nothing about the labels
        return 0.0 if bool((guessed == guessed[0]).all()) else self.of(guessed, true)


def matthews(table: torch.Tensor) -> float:
    """Matthews' correlation of a table of counts, for any number of classes (Gorodkin, 2004); 0 where it is undefined.

    >>> matthews(torch.tensor([[3, 1], [2, 4]]))
    0.408248290463863
    """
    true, guessed = table.sum(1).tolist(), table.sum(0).tolist()
    whole, right = sum(true), int(table.trace())
    both = sum(t * g for t, g in zip(true, guessed))
    spread = (whole**2 - sum(g * g for g in guessed)) * (whole**2 - sum(t * t for t in true))
    return (right * whole - both) / math.sqrt(spread) if spread else 0.0


def f1(table: torch.Tensor) -> float:
    """``2 TP / (2 TP + FP + FN)`` of class 1 of two; 0 where nothing is, and nothing is taken for, class 1.

    >>> f1(torch.tensor([[3, 1], [2, 4]]))
    0.7272727272727273
    """
    if len(table) != 2:
        raise InputError(f"f1 is of class 1 of two, and there are {len(table)}; f1_macro is the mean over classes")
    return _f1_of(table, 1)


def f1_macro(table: torch.Tensor) -> float:
    """The mean of the F1 of every class that is there or guessed.

    >>> f1_macro(torch.tensor([[3, 1], [2, 4]]))
    0.696969696969697
    """
    present = [c for c in range(len(table)) if int(table[c].sum() + table[:, c].sum())]
    return sum(_f1_of(table, c) for c in present) / len(present)


def _f1_of(table: torch.Tensor, c: int) -> float:
    either = int(table[c].sum() + table[:, c].sum())
    return 2 * int(table[c, c]) / either if either else 0.0


def _classes(score: Score, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    logits, labels = score.logits, score.labels
    if logits is None or labels is None or labels.is_floating_point() or logits.shape[:-1] != labels.shape:
        raise InputError(f"{name} compares guessed with true classes; {_found(score)}")
    return logits, labels


def _found(score: Score) -> str:
    if score.logits is None or score.labels is None:
        return (
            "the loss does not say what it compares; let it return (sum, count, logits, labels), or give batches with "
            "labels to a model that reports a loss"
        )
    return f"here are logits {tuple(score.logits.shape)} and {score.labels.dtype} labels {tuple(score.labels.shape)}"


def _pearson(guessed: torch.Tensor, true: torch.Tensor) -> float:
    found: Any = stats.pearsonr(guessed.numpy(), true.numpy())
    return float(found.statistic)


def _spearman(guessed: torch.Tensor, true: torch.Tensor) -> float:
    found: Any = stats.spearmanr(guessed.numpy(), true.numpy())
    return float(found.statistic)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("perplexity", "e to the mean loss of a token, of a causal or an encoder-decoder model", False, None),
        Metric("pseudo_perplexity", "e to the mean loss of a masked token", False, None),
        Metric("accuracy", "right guesses among all", True, _Accuracy),
        Metric("f1", "F1 of class 1 of two", True, lambda: _Confusion("f1", f1)),
        Metric("f1_macro", "mean F1 of all classes", True, lambda: _Confusion("f1_macro", f1_macro)),
        Metric("matthews", "Matthews' correlation of classes", True, lambda: _Confusion("matthews", matthews)),
        Metric("pearson", "Pearson's correlation of numbers", True, lambda: _Values("pearson", _pearson)),
        Metric("spearman", "Spearman's correlation of ranks", True, lambda: _Values("spearman", _spearman)),
    )
}
GLUE = {
    "cola": ("matthews",),
    "sst2": ("accuracy",),
    "mrpc": ("accuracy", "f1"),
    "stsb": ("pearson", "spearman"),
    "qqp": ("accuracy", "f1"),
    "mnli": ("accuracy",),
    "qnli": ("accuracy",),
    "rte": ("accuracy",),
    "wnli": ("accuracy",),
}


def named_metrics(given: str | Iterable[str]) -> tuple[str, ...]:
    """Names of metrics, each once; ``glue:mrpc`` stands for those of that task.

    Raises:
        InputError: there is none of that name.

    >>> named_metrics("glue:mrpc, matthews, f1")
    ('accuracy', 'f1', 'matthews')
    """
    found: dict[str, None] = {}
    for name in given.split(",") if isinstance(given, str) else given:
        task = GLUE.get(name.strip().removeprefix("glue:")) if name.strip().startswith("glue:") else None
        found.update(dict.fromkeys(task or (name.strip(),)))
    known = (*METRICS, *(f"glue:{task}" for task in GLUE))
    for name in found:
        if name not in METRICS:
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise InputError(f"there is no metric {name!r}{hint}")
    return tuple(found)


def tallies(names: Sequence[str]) -> dict[str, Tally]:
    """A collector for each metric that takes more than the mean loss."""
    return {name: tally() for name in names if (tally := METRICS[name].tally) is not None}


def values(
    names: Sequence[str], collected: dict[str, Tally], mean: float, unit: str, model: nn.Module
) -> dict[str, float]:
    """The metrics, from what was collected and from the mean loss.

    Raises:
        InputError: a perplexity of what is no cross-entropy of tokens, or what a metric cannot be computed from.
    """
    return {
        name: collected[name].value() if name in collected else _perplexity(name, mean, unit, model) for name in names
    }


def _perplexity(name: str, mean: float, unit: str, model: nn.Module) -> float:
    tokens = unit in (NEXT_TOKEN.unit, EACH_POSITION.unit)
    # an encoder-decoder shifts its inputs: every label is a next token
    decoder = unit == NEXT_TOKEN.unit or getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if not tokens or decoder == (name == "pseudo_perplexity"):
        wanted = EACH_POSITION.unit if name == "pseudo_perplexity" else NEXT_TOKEN.unit
        other = "; this model has the other perplexity" if tokens else ""
        raise InputError(f"{name} is e to a loss in {wanted}, and this one is in {unit!r}{other}")
    if mean > math.log(1e300):
        raise InputError(f"a loss of {mean:.0f} nats has no {name} that can be written down")
    return math.exp(mean)
