"""The ``groups`` section of a spec: what is declared, and whether what is over what makes sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from graphmerge.spec.notation import LETTER, fill_text
from graphmerge.spec.repeat import expand
from graphmerge.spec.source import Source
from graphmerge.symmetry import KINDS, Group


@dataclass(frozen=True)
class Declared:
    """One name of the ``groups`` section, or one that its template stands for."""

    group: Group
    pinned: str | None  # the reason, if it is a pinned leaf and no group
    key: yaml.Node
    over: tuple[yaml.Node, ...]  # where its bases are written


class Repeats:
    """The ``repeat`` section: letters with their ranges, and the expansion of the entries that use them."""

    def __init__(self, source: Source, node: yaml.Node | None) -> None:
        self.source = source
        self.ranges: dict[str, range] = {}
        self._keys: dict[str, yaml.Node] = {}
        for key, value in source.entries(node, "'repeat'") if node is not None else []:
            letter = source.text(key, "a letter")
            if not LETTER.fullmatch(f"{{{letter}}}"):
                source.fail(key, f"{letter!r} is no letter; use one like l, or a word")
            self.ranges[letter] = source.range(value, f"the range of {letter}")
            self._keys[letter] = key
        self._unused = dict(self._keys)

    def letters_in(self, *nodes: yaml.Node) -> set[str]:
        """The letters that the texts of these nodes use."""
        found: set[str] = set()
        for node in nodes:
            if isinstance(node, yaml.ScalarNode):
                letters = set(LETTER.findall(self.source.text(node, "this")))
                if unknown := sorted(letters - set(self.ranges)):
                    self.source.fail(node, f"{{{unknown[0]}}} is not declared; add {unknown[0]}: 0..11 under 'repeat'")
                found |= letters
            else:
                inner = [pair if isinstance(pair, tuple) else (pair,) for pair in node.value]
                found |= self.letters_in(*(n for pair in inner for n in pair))
        for letter in found:
            self._unused.pop(letter, None)
        return found

    def expanded(
        self, entries: list[tuple[yaml.ScalarNode, yaml.Node]]
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node, dict[str, int]]]:
        """Name, key, value and numbers of every entry that the templates stand for; a name that comes twice fails."""
        first: dict[str, yaml.Node] = {}
        letters = {entry: self.letters_in(*entry) for entry in entries}
        for (key, value), numbers in expand(entries, letters.__getitem__, self.ranges):
            name = fill_text(self.source.text(key, "a name"), numbers)
            if name in first:
                line = first[name].start_mark.line + 1
                self.source.fail(key, f"{name!r} stands here for the second time (first in line {line}); keep one")
            first[name] = key
            yield name, key, value, numbers

    def check_used(self) -> None:
        """A letter that nothing uses is a mistake."""
        for letter, key in self._unused.items():
            self.source.fail(key, f"nothing uses {{{letter}}}; remove it")


def read_groups(source: Source, repeats: Repeats, node: yaml.Node) -> dict[str, Declared]:
    """Groups and named pins in the order of the file.

    Raises:
        SpecError: a wrong value, or a base that is unknown, cyclic, or lacks its own bases.
    """
    declared = {
        name: _declared(source, name, key, value, numbers)
        for name, key, value, numbers in repeats.expanded(source.entries(node, "'groups'"))
    }
    for entry in declared.values():
        for base, where in zip(entry.group.over, entry.over):
            if base not in declared:
                source.fail(where, f"no group is called {base!r}; declare it under 'groups'")
    for entry in declared.values():
        _check_bases(source, entry, declared)
    return declared


def _declared(source: Source, name: str, key: yaml.Node, value: yaml.Node, numbers: Mapping[str, int]) -> Declared:
    if isinstance(value, yaml.ScalarNode):
        return Declared(Group(name, source.number(value, f"the size of {name}")), None, key, ())
    fields = source.fields(value, f"{name}", ("size", "over", "kind", "pinned"))
    if "size" not in fields:
        source.fail(value, f"{name} needs a size: {{size: 64}}")
    if "pinned" in fields and len(fields) > 2:
        source.fail(value, f"{name} is pinned: it has a size and a reason, and neither 'over' nor 'kind'")
    over = _over(source, fields.get("over"))
    kind = source.text(fields["kind"], "a kind") if "kind" in fields else KINDS[0]
    if kind not in KINDS:
        source.fail(fields["kind"], f"unknown kind {kind!r}; it is one of {', '.join(KINDS)}")
    bases = tuple(fill_text(source.text(base, "a base"), numbers) for base in over)
    reason = fill_text(source.text(fields["pinned"], "the reason of a pin"), numbers) if "pinned" in fields else None
    return Declared(Group(name, source.number(fields["size"], "a size"), bases, kind=kind), reason, key, over)


def _over(source: Source, node: yaml.Node | None) -> tuple[yaml.Node, ...]:
    if node is None:
        return ()
    return (node,) if isinstance(node, yaml.ScalarNode) else tuple(source.items(node, "'over'"))


def _check_bases(source: Source, entry: Declared, declared: Mapping[str, Declared]) -> None:
    name = entry.group.name
    for base, where in zip(entry.group.over, entry.over):
        if path := _path(base, name, declared, frozenset()):
            loop = " over ".join((name, *path))
            source.fail(where, f"groups are over each other ({loop}); take one 'over' away")
        if lacking := [b for b in declared[base].group.over if b not in entry.group.over]:
            source.fail(where, f"{base!r} is over {lacking[0]!r}, so {name!r} must be over that too")


def _path(start: str, goal: str, declared: Mapping[str, Declared], seen: frozenset[str]) -> tuple[str, ...]:
    """Names from ``start`` to ``goal``, each over the next; empty if there is no such way."""
    if start == goal:
        return (goal,)
    for base in declared[start].group.over:
        if base not in seen and (rest := _path(base, goal, declared, seen | {start})):
            return (start, *rest)
    return ()
