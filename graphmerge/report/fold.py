"""Names that differ in their layer numbers only, written as one: ``layers.{0..11}.ffn``."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

Indices = tuple[int, ...]
Template = tuple[str | None, ...]  # a name's parts, None for a number


@dataclass(frozen=True)
class Folded:
    """One pattern and the names it stands for; ``ranges`` are the numbers at each place of the pattern."""

    pattern: str
    names: tuple[str, ...]
    ranges: tuple[tuple[int, ...], ...]


def fold(names: Mapping[str, Hashable]) -> list[Folded]:
    """Fold names whose values agree, in the order of their first members.

    >>> [f.pattern for f in fold({"residual": 8, "layers.0.ffn": 32, "layers.1.ffn": 32, "layers.2.ffn": 64})]
    ['residual', 'layers.{0..1}.ffn', 'layers.2.ffn']
    """
    classes: dict[tuple[Template, Hashable], dict[Indices, str]] = {}
    for name, value in names.items():
        template, indices = split(name)
        classes.setdefault((template, value), {})[indices] = name
    folded = []
    for (template, _), members in classes.items():
        for ranges in _products(members.keys()):
            inside = tuple(name for i, name in members.items() if all(n in r for n, r in zip(i, ranges)))
            folded.append(Folded(fill(template, ranges), inside, ranges))
    place = {name: i for i, name in enumerate(names)}
    return sorted(folded, key=lambda f: place[f.names[0]])


def split(name: str) -> tuple[Template, Indices]:
    """The name's parts with None for numbers, and the numbers.

    >>> split("layers.3.ffn")
    (('layers', None, 'ffn'), (3,))
    """
    parts = name.split(".")
    return tuple(None if p.isdecimal() else p for p in parts), tuple(int(p) for p in parts if p.isdecimal())


def fill(template: Template, ranges: Collection[tuple[int, ...]]) -> str:
    """Inverse of `split`, with a set of numbers at every place."""
    left = iter(ranges)
    return ".".join(range_text(next(left)) if part is None else part for part in template)


def _products(indices: Collection[Indices]) -> list[tuple[tuple[int, ...], ...]]:
    """The set of index tuples as a union of disjoint products."""
    if () in indices:
        return [()]
    tails: dict[int, set[Indices]] = {}
    for first, *rest in indices:
        tails.setdefault(first, set()).add(tuple(rest))
    heads: dict[frozenset[Indices], list[int]] = {}
    for first, rest in sorted(tails.items()):
        heads.setdefault(frozenset(rest), []).append(first)
    return [(tuple(firsts), *product) for rest, firsts in heads.items() for product in _products(rest)]


def range_text(numbers: tuple[int, ...]) -> str:
    """
    >>> range_text((0, 1, 2, 5)), range_text((3,))
    ('{0..2,5}', '3')
    """
    if len(numbers) == 1:
        return str(numbers[0])
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "{" + ",".join(f"{r[0]}..{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs) + "}"
