"""The ``repeat`` section of a spec: letters with what they stand for, and the entries that use them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import yaml

from graphmerge.spec.notation import LETTER, fill_text
from graphmerge.spec.repeat import Value, expand
from graphmerge.spec.source import FollowUpError, Source
from graphmerge.spec.wording import nearest, quoted

MOST: Final = 200_000  # entries that a section stands for
LETTERS: Final = 8
_WORD = re.compile(r"[\w.-]+")

Entry = tuple[yaml.ScalarNode, yaml.Node]


class Repeats:
    """Letters with the numbers or words that they stand for, and the expansion of the entries that use them."""

    def __init__(self, source: Source, node: yaml.Node | None) -> None:
        self.source = source
        self.ranges: dict[str, Sequence[Value]] = {}
        self._keys: dict[str, yaml.Node] = {}
        for key, value in source.entries(node, "'repeat'") if node is not None else []:
            with source.collecting():
                letter = source.text(key, "a letter")
                if not LETTER.fullmatch(f"{{{letter}}}"):
                    source.fail(key, f"{quoted(letter)} is no letter; use one like l, or a word")
                if len(self._keys) >= LETTERS:
                    source.fail(key, f"a spec has at most {LETTERS} letters")
                self._keys[letter] = key
                self.ranges[letter] = self._values(letter, value)
        self._unused = dict(self._keys)

    def _values(self, letter: str, node: yaml.Node) -> Sequence[Value]:
        """A range, or a list of numbers, ranges and words."""
        if isinstance(node, yaml.ScalarNode):
            return self.source.range(node, f"the range of {letter}")
        found: list[Value] = []
        for item in self.source.items(node, f"what {letter} stands for"):
            text = self.source.text(item, f"what {letter} stands for")
            if ".." in text:
                numbers = self.source.range(item, f"a range of {letter}")
                if len(numbers) > MOST:
                    self.source.fail(item, f"this is a range of {len(numbers):,} numbers; at most {MOST:,} are read")
                found += numbers
            elif _WORD.fullmatch(text):
                found.append(int(text) if re.fullmatch(r"0|[1-9]\d{0,9}", text) else text)
            else:
                self.source.fail(item, f"{letter} stands for numbers, ranges like 0..3 and words, not {quoted(text)}")
        for value in found if len(set(found)) < len(found) else ():
            if found.count(value) > 1:
                self.source.fail(node, f"{letter} stands for {value} twice; keep one")
        return found

    def letters_in(self, *nodes: yaml.Node) -> set[str]:
        """The letters that the texts of these nodes use."""
        found: set[str] = set()
        for node in nodes:
            if isinstance(node, yaml.ScalarNode):
                letters = set(LETTER.findall(self.source.text(node, "this")))
                for letter in sorted(letters - set(self.ranges)):
                    self._fail_unknown(node, letter)
                found |= letters
            else:
                inner = [pair if isinstance(pair, tuple) else (pair,) for pair in node.value]
                found |= self.letters_in(*(n for pair in inner for n in pair))
        for letter in found:
            self._unused.pop(letter, None)
        return found

    def _fail_unknown(self, node: yaml.Node, letter: str) -> None:
        if letter in self._keys or self.source.is_broken(f"{{{letter}}}"):  # reported once
            raise FollowUpError
        hint = nearest(letter, self.ranges) or f"; add {letter}: 0..11 under 'repeat'"
        with self.source.collecting(f"{{{letter}}}"):
            self.source.fail(node, f"{{{letter}}} is not declared{hint}")
        raise FollowUpError

    def known(self, nodes: Iterable[yaml.Node], letters: Iterable[str]) -> None:
        """Note what is wrong about letters that are given by themselves, as in ``each: l``."""
        for node, letter in zip(nodes, letters):
            if letter not in self.ranges:
                hint = nearest(letter, self.ranges) or f"; add {letter}: 0..11 under 'repeat'"
                self.source.fail(node, f"the letter {quoted(letter)} is not declared{hint}")

    def check_count(self, node: yaml.Node, letters: Iterable[str]) -> None:
        """An entry may not stand for any number of others."""
        count = math.prod(len(self.ranges[letter]) for letter in letters)
        if count > MOST:
            self.source.fail(node, f"this stands for {count:,} entries; at most {MOST:,} are read")

    def expanded(self, entries: list[Entry]) -> Iterator[tuple[str, yaml.Node, yaml.Node, dict[str, Value]]]:
        """Name, key, value and letters of every entry that the templates stand for; a name that comes twice fails."""
        first: dict[str, yaml.Node] = {}
        letters: dict[Entry, set[str]] = {}
        for entry in entries:
            with self.source.collecting(entry[0].value):
                used = self.letters_in(*entry)
                self.check_count(entry[0], used)
                letters[entry] = used
        for (key, value), filled in expand(list(letters), letters.__getitem__, self.ranges):
            name = fill_text(self.source.text(key, "a name"), filled)
            if name not in first and len(first) < MOST:
                first[name] = key
                yield name, key, value, filled
                continue
            with self.source.collecting():
                if name not in first:
                    self.source.fail(key, f"with this the section stands for more than {MOST:,} entries")
                line = first[name].start_mark.line + 1
                self.source.fail(
                    key, f"{quoted(name)} stands here for the second time (first in line {line}); keep one"
                )
            if len(first) >= MOST:
                return

    def check_used(self) -> None:
        """A letter that nothing uses is a mistake."""
        for letter, key in self._unused.items():
            with self.source.collecting():
                self.source.fail(key, f"nothing uses {{{letter}}}; remove it")
