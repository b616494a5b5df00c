"""Templates: entries with a letter, ``layers.{l}.ffn``, stand for one entry a number of that letter's range.

Neighbouring entries with the same letter are repeated together, as the body of a loop, so that the order of what they
stand for is that of the model. Letters that are declared first loop outside. `fold` finds the templates of a sequence,
`expand` undoes it: ``expand(fold(x)) == x``, order and all.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

Entry = TypeVar("Entry")

# A number that is a whole component of a dotted name: the 3 of `h.3.attn`, not that of `conv3` or `0..3`.
_NUMBER = re.compile(r"(?<![\w.-])(?:0|[1-9]\d*)(?=\.[^.])|(?<=[^.]\.)(?:0|[1-9]\d*)(?![\w-]|\.\.)")


_WORDS = 100  # depth of the outermost loop over words

Value = int | str  # what a letter stands for: a number, or a word of a list


def expand(
    entries: Sequence[Entry], letters_of: Callable[[Entry], set[str]], ranges: Mapping[str, Sequence[Value]]
) -> Iterator[tuple[Entry, dict[str, Value]]]:
    """Every entry that the templates stand for, in order, as a template and the value of each of its letters."""
    if not ranges:
        yield from ((entry, {}) for entry in entries)
        return
    letter, *others = ranges
    rest = {other: ranges[other] for other in others}
    for repeated, body in itertools.groupby(entries, key=lambda entry: letter in letters_of(entry)):
        body = list(body)
        if not repeated:
            yield from expand(body, letters_of, rest)
            continue
        for value in ranges[letter]:
            for entry, values in expand(body, letters_of, rest):
                yield entry, {letter: value} | values


@dataclass
class Letters:
    """Hands out letters for ranges and lists of words, the same one again where that is unambiguous.

    Loops that nest have names of their own (``l`` outside, ``e`` and ``i`` inside), so ``ranges`` in order of depth
    puts outer letters first. Words loop inside numbers.
    """

    taken: set[str]
    _ranges: dict[str, tuple[int, Sequence[Value]]] = field(default_factory=dict)

    def pick(self, numbers: range, depth: int, avoid: set[str]) -> str:
        """A letter for a loop over ``numbers`` inside ``depth`` others that is none of ``avoid``."""
        return self._pick("lei"[depth] if depth < 3 else f"x{depth}_", depth, numbers, avoid)

    def pick_words(self, words: Sequence[str], depth: int, is_last: bool, avoid: set[str]) -> str:
        """A letter for a loop over ``words``, last or inner components of names, inside ``depth`` others."""
        return self._pick("n" if is_last else "p", _WORDS + depth, words, avoid)

    def _pick(self, base: str, depth: int, values: Sequence[Value], avoid: set[str]) -> str:
        for count in itertools.count(1):
            letter = base if count == 1 else f"{base}{count}"
            if letter not in self.taken | avoid and self._ranges.get(letter, (depth, values)) == (depth, values):
                self._ranges[letter] = (depth, values)
                return letter
        raise AssertionError

    def ranges(self) -> dict[str, Sequence[Value]]:
        """Every letter in use with what it stands for, outer loops first."""
        return {letter: values for letter, (_, values) in sorted(self._ranges.items(), key=lambda x: (x[1][0], x[0]))}


def fold(texts: Sequence[str], letters: Letters, depth: int = 0) -> list[str]:
    """The shortest list of templates that greedy search finds for a sequence of texts.

    From left to right, the loop that covers most texts is taken: a body of some texts that comes again and again, with
    one number in it going up by one each time; then the body is folded in turn.
    """
    split = [_split(text) for text in texts]
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, (words, _) in enumerate(split):
        places[words].append(index)
    folded: list[str] = []
    previous = ""  # the letter of the loop that ends right before here
    at = 0
    while at < len(texts):
        periods = [other - at for other in places[split[at][0]] if other > at]
        loops = [(period * times, -period) for period in periods if (times := _times(split, at, period)) > 1]
        if not loops:
            folded.append(texts[at])
            previous, at = "", at + 1
            continue
        covered, period = max(loops)[0], -max(loops)[1]
        first = _varying(split[at][1], split[at + period][1])[1]
        numbers = range(first, first + covered // period)
        letter = letters.pick(numbers, depth, {previous})
        body = [_template(split[k], split[k + period], letter) for k in range(at, at + period)]
        folded += fold(body, letters, depth + 1)
        previous, at = letter, at + covered
    return folded


Split = tuple[tuple[str, ...], tuple[int, ...]]  # what stands around the numbers, and the numbers


def _split(text: str) -> Split:
    return tuple(_NUMBER.split(text)), tuple(int(found[0]) for found in _NUMBER.finditer(text))


def _varying(numbers: Sequence[int], others: Sequence[int]) -> tuple[list[int], int]:
    """Where two lists of numbers differ, if it is by the same step from the same number; and that number."""
    where = [k for k, (a, b) in enumerate(zip(numbers, others)) if a != b]
    firsts = {numbers[k] for k in where}
    if len(firsts) == 1 and all(others[k] == numbers[k] + 1 for k in where):
        return where, firsts.pop()
    return [], 0


def _times(split: Sequence[Split], at: int, period: int) -> int:
    """How often the ``period`` texts from ``at`` on come in a row, one number in each of them going up by one."""
    if at + 2 * period > len(split):
        return 1
    firsts = set()
    places = []
    for k in range(at, at + period):
        (words, numbers), (other_words, others) = split[k], split[k + period]
        where, first = _varying(numbers, others)
        firsts.add(first)
        if not where or words != other_words or len(firsts) > 1:
            return 1
        places.append(set(where))
    times = 2
    while at + (times + 1) * period <= len(split) and all(
        split[at + times * period + k] == _advanced(split[at + k], places[k], times) for k in range(period)
    ):
        times += 1
    return times


def _advanced(split: Split, where: set[int], step: int) -> Split:
    return split[0], tuple(n + step if k in where else n for k, n in enumerate(split[1]))


def _template(split: Split, following: Split, letter: str) -> str:
    """The text with ``{letter}`` for the numbers that the following one has different."""
    words, numbers = split
    where = _varying(numbers, following[1])[0]
    shown = [f"{{{letter}}}" if k in where else str(n) for k, n in enumerate(numbers)]
    return words[0] + "".join(number + word for number, word in zip(shown, words[1:]))
