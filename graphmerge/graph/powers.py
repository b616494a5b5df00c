"""Linear systems over the occurrences of one leaf: which powers of a free scale, or sign, each of them may carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import gcd, lcm

Row = Mapping[int, int]  # occurrence -> coefficient; the combination must be 0
Vector = list[Fraction]


class Substitution:
    """Occurrences that are equal up to a sign, as a union-find; occurrences that are zero.

    Over two elements (``modulus=2``) a sign means nothing, and a coefficient counts if it is odd.
    """

    def __init__(self, modulus: int | None = None) -> None:
        self.modulus = modulus
        self._parent: dict[int, tuple[int, int]] = {}
        self._zero: set[int] = set()

    def find(self, occurrence: int) -> tuple[int, int]:
        """The occurrence that stands for this one, and the factor between them: 1, -1, or 0."""
        path, sign = [], 1
        while (step := self._parent.get(occurrence, (occurrence, 1)))[0] != occurrence:
            path.append((occurrence, sign))
            occurrence, sign = step[0], sign * step[1]
        for node, before in path:
            self._parent[node] = (occurrence, sign * before)
        return occurrence, 0 if occurrence in self._zero else sign

    def tie(self, a: int, b: int, sign: int = 1) -> bool:
        """State a = sign · b; False if a and b were tied already, whichever way."""
        (root, mine), (other, theirs) = self._signed(a), self._signed(b)
        if root == other:
            return False
        self._parent[root] = (other, sign * mine * theirs)
        if root in self._zero:
            self._zero.add(other)
        return True

    def vanish(self, occurrence: int) -> None:
        """State that an occurrence, with all that is tied to it, is zero."""
        self._zero.add(self._signed(occurrence)[0])

    def reduce(self, row: Row) -> dict[int, int]:
        """The row in terms of the occurrences that stand for others."""
        short: dict[int, int] = {}
        for occurrence, coefficient in row.items():
            root, sign = self.find(occurrence)
            short[root] = short.get(root, 0) + sign * coefficient
        if self.modulus:
            short = {o: c % self.modulus for o, c in short.items()}
        return {o: c for o, c in short.items() if c}

    def _signed(self, occurrence: int) -> tuple[int, int]:
        root, sign = self.find(occurrence)
        if sign == 0:  # its sign is not seen from outside, yet it is there
            sign = self._parent.get(occurrence, (occurrence, 1))[1]
        return root, sign


def powers(rows: Iterable[Row], wanted: Sequence[int], modulus: int | None = None) -> dict[int, tuple[int, ...]]:
    """A basis of all solutions, seen at the occurrences that are wanted: the power of each basis element there.

    The basis is reduced: the first wanted occurrence that is not zero has the powers ``(1, 0, ...)`` (or a multiple).
    """
    known = Substitution(modulus)
    left = _substituted(list(rows), known)
    columns = list(dict.fromkeys(o for row in left for o in row))
    roots = list(dict.fromkeys(root for root, sign in map(known.find, wanted) if sign))
    solutions = _null_space(_dense(left, columns, modulus), len(columns), modulus)
    place = {o: k for k, o in enumerate(columns)}
    basis = [[s[place[r]] if r in place else Fraction(0) for r in roots] for s in solutions]
    basis += [[Fraction(r == free) for r in roots] for free in roots if free not in place]
    reduced = [_whole(row) for row in _echelon(basis, modulus)[0]]
    at = {root: k for k, root in enumerate(roots)}

    def power(occurrence: int) -> tuple[int, ...]:
        root, sign = known.find(occurrence)
        return tuple(sign * row[at[root]] if sign else 0 for row in reduced)

    found = {occurrence: power(occurrence) for occurrence in wanted}
    return {o: tuple(p % modulus for p in own) for o, own in found.items()} if modulus else found


def _substituted(rows: list[Row], known: Substitution) -> list[dict[int, int]]:
    """The rows that no substitution settles, reduced; those of one or two like terms become substitutions."""
    while True:
        left: dict[tuple[tuple[int, int], ...], dict[int, int]] = {}
        changed = False
        for row in rows:
            short = known.reduce(row)
            terms = list(short.items())
            if len(terms) == 1:
                known.vanish(terms[0][0])
                changed = True
            elif len(terms) == 2 and abs(terms[0][1]) == abs(terms[1][1]):
                known.tie(terms[0][0], terms[1][0], -1 if terms[0][1] == terms[1][1] and not known.modulus else 1)
                changed = True
            elif terms:
                left[tuple(sorted(terms))] = short
        rows = list(left.values())
        if not changed:
            return [dict(row) for row in rows]


def _dense(rows: Sequence[Row], columns: Sequence[int], modulus: int | None) -> list[Vector]:
    return [[_scalar(row.get(c, 0), modulus) for c in columns] for row in rows]


def _scalar(value: Fraction | int, modulus: int | None) -> Fraction:
    return Fraction(value % modulus) if modulus else Fraction(value)


def _echelon(rows: Sequence[Vector], modulus: int | None) -> tuple[list[Vector], list[int]]:
    """Reduced row echelon form without its zero rows, and the pivot of each row."""
    work = [list(row) for row in rows]
    done, pivots = 0, []
    for column in range(len(work[0]) if work else 0):
        pivot = next((r for r in range(done, len(work)) if work[r][column]), None)
        if pivot is None:
            continue
        work[done], work[pivot] = work[pivot], work[done]
        lead = work[done][column]
        work[done] = [x / lead for x in work[done]]  # over two elements the lead is 1
        for r, row in enumerate(work):
            if r != done and row[column]:
                factor = row[column]
                work[r] = [_scalar(x - factor * y, modulus) for x, y in zip(row, work[done])]
        pivots.append(column)
        done += 1
    return work[:done], pivots


def _null_space(rows: Sequence[Vector], unknowns: int, modulus: int | None) -> list[Vector]:
    reduced, pivots = _echelon(rows, modulus)
    basis = []
    for free in (c for c in range(unknowns) if c not in pivots):
        vector = [Fraction(c == free) for c in range(unknowns)]
        for row, pivot in zip(reduced, pivots):
            vector[pivot] = _scalar(-row[free], modulus)
        basis.append(vector)
    return basis


def _whole(row: Vector) -> list[int]:
    """The smallest multiple with whole entries."""
    factor = lcm(*(x.denominator for x in row))
    entries = [int(x * factor) for x in row]
    return [x // gcd(*entries) for x in entries]
