"""One symmetry held against another, by what they mean: names, order, pins and ways to cut an axis do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphmerge.compare.labels import Places, matching
from graphmerge.compare.reasons import Freedom, Tie, missing_freedom, unsound
from graphmerge.compare.sift import Sieve
from graphmerge.errors import ArchitectureMismatch
from graphmerge.symmetry import UNKNOWN, Symmetry


@dataclass(frozen=True)
class Comparison:
    """How a symmetry differs from a reference.

    Attributes:
        missing_ties: groups that leave out what the reference moves along with them: their elements are no elements of
            the reference. Each with the error that they cause, where a model was there to measure it on.
        wrong_ties: groups that move what the reference does not move with them.
        missing_freedom: groups of the reference that the symmetry does not have. It is sound all the same.
        names: groups that are the same in both, by their names here and in the reference.
        log_order: of the symmetry, and `reference_log_order` of the reference: the natural logs of their sizes.
    """

    missing_ties: tuple[Tie, ...]
    wrong_ties: tuple[Tie, ...]
    missing_freedom: tuple[Freedom, ...]
    names: Mapping[str, str]
    log_order: float
    reference_log_order: float

    @property
    def sound(self) -> bool:
        """Is every element one of the reference?"""
        return not self.missing_ties and not self.wrong_ties

    @property
    def equal(self) -> bool:
        """Have both the same elements?"""
        return self.sound and not self.missing_freedom

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.equal:
            renamed = [f"{a} = {b}" for a, b in self.names.items() if a != b]
            told = f", {len(renamed)} under other names ({', '.join(renamed[:3])}{', ...' if renamed[3:] else ''})"
            yield f"equal: the same {len(self.names)} groups" + (told if renamed else "")
            return
        yield (
            f"{len(self.names)} groups are the same; ln of the number of elements {self.log_order:,.1f}, "
            f"of the reference {self.reference_log_order:,.1f}"
        )
        for title, entries in (
            ("missing ties (unsound)", self.missing_ties),
            ("wrong ties (unsound)", self.wrong_ties),
            ("missing freedom", self.missing_freedom),
        ):
            yield f"{title}: {len(entries) or 'none'}"
            yield from (f"  {entry}" for entry in entries)


def compare(symmetry: Symmetry, reference: Symmetry) -> Comparison:
    """Hold a symmetry against a reference, exactly: every element of each is looked for in the other.

    Axes of unknown length (a bare ``_`` in a spec) take theirs from the other side. Groups of one unit mean nothing.

    Raises:
        ArchitectureMismatch: they give one tensor different shapes.
    """
    one, other = _fitted(symmetry, reference)
    here, there = Places(one), Places(other)
    into = Sieve(one, other)
    wrong = {g.name: unsound(here, g.name, there) for g in one.groups if not into.contains(g.name)}
    back = Sieve(other, one)
    less = [g.name for g in other.groups if not back.contains(g.name)]
    explained = {name for group in wrong for name in matching(here, group, there)}
    return Comparison(
        missing_ties=tuple(tie for ties, _ in wrong.values() for tie in ties),
        wrong_ties=tuple(tie for _, ties in wrong.values() for tie in ties),
        missing_freedom=tuple(missing_freedom(there, name, here) for name in less if name not in explained),
        names=dict(_same(here, there, set(wrong), set(less))),
        log_order=one.log_order(),
        reference_log_order=other.log_order(),
    )


def _same(here: Places, there: Places, wrong: set[str], less: set[str]) -> Iterator[tuple[str, str]]:
    """Groups that lie in each other, and act on the same axes."""
    for name, places in here.groups.items():
        if name in wrong:
            continue
        for other, found in matching(here, name, there).items():
            both = len(found) == len(places) == len(there.groups[other])
            if other not in less and both:
                yield name, other


def _fitted(one: Symmetry, other: Symmetry) -> tuple[Symmetry, Symmetry]:
    """Both with all lengths known; an axis that both leave open stays as it is in both, whatever its length."""
    shapes: dict[str, tuple[int, ...]] = {}
    for key in dict.fromkeys((*one.shapes, *other.shapes)):
        a, b = one.shapes.get(key), other.shapes.get(key)
        a, b = a or b or (), b or a or ()
        if len(a) != len(b) or any(UNKNOWN not in (m, n) and m != n for m, n in zip(a, b)):
            shown = [f"({', '.join('any' if n == UNKNOWN else str(n) for n in shape)})" for shape in (a, b)]
            raise ArchitectureMismatch(
                f"{key} has shape {shown[0]} in the one and {shown[1]} in the other; they belong to different models"
            )
        shapes[key] = tuple(1 if m == n == UNKNOWN else max(m, n) for m, n in zip(a, b))
    return one.fit(shapes), other.fit(shapes)
