"""A spec that changes what is derived: ``derive: true``, and what to pin, tie, release and rename.

```yaml
graphmerge: 1
derive: true
pin: [layers.*.heads]                                  # names of groups; * is anything
tie:
  - [layers.{l}.qk, layers.{l}.v]                      # in every layer these two become one
  - layers.*.ffn                                       # and these, of all layers
release:
  labels: ["head.weight[0]", "head.bias[0]"]           # pinned axes that may move after all, as one group of that name
rename:
  layers.{l}.ffn: blocks.{l}.mlp
```

Names are those of what is derived; ``{l}`` is a number that is the same wherever it stands in one entry. `parse` reads
the file, `graphmerge.resolve` carries it out and proves it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from graphmerge.errors import SpecError
from graphmerge.spec.notation import LETTER, NotationError
from graphmerge.spec.pins import axes_in
from graphmerge.spec.read import read_sections
from graphmerge.spec.source import FollowUpError, Source
from graphmerge.spec.wording import nearest, quoted
from graphmerge.symmetry import Part

SECTIONS = ("graphmerge", "derive", "model", "pin", "tie", "release", "rename")
LONGEST: Final = 200  # characters of a new name
MOST_LETTERS: Final = 4
MOST_STARS: Final = 3
_AXIS = re.compile(r"(.+?)\[(\d{1,6})\](?:\s+(.+))?", re.DOTALL)


@dataclass(frozen=True)
class Pattern:
    """Names of groups, with ``*`` and letters; ``place`` is where it is written."""

    text: str
    place: str = field(compare=False)

    def matches(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The names that it stands for, with the number that each of its letters is there.

        Raises:
            SpecError: there are none.
        """
        known = list(names)
        letters = self.letters
        found = {name: tuple(hit[x] for x in letters) for name in known if (hit := self._expression.fullmatch(name))}
        if not found:
            shown = f"; the groups are {', '.join(known[:6])}{' ...' if len(known) > 6 else ''}"
            raise mistake(self.place, f"no group is called {quoted(self.text)}{nearest(self.text, known) or shown}")
        return found

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(LETTER.findall(self.text)))

    @property
    def _expression(self) -> re.Pattern[str]:
        seen: set[str] = set()
        start, *rest = (_expression(piece, seen) for piece in re.split(r"\*+", self.text))
        if not rest:
            return re.compile(start, re.DOTALL)
        *middle, end = rest
        # without letters the first place where a piece fits is as good as any other, and no other is tried
        group = "(?:" if seen else "(?>"
        return re.compile(start + "".join(f"{group}.*?{piece})" for piece in middle) + ".*" + end, re.DOTALL)


def _expression(text: str, seen: set[str]) -> str:
    """The expression of a text without ``*``: the first of each letter takes a number, the others repeat it."""
    parts = []
    for piece in re.split(r"(\{[A-Za-z]\w*\})", text):
        if letter := LETTER.fullmatch(piece):
            parts.append(f"(?P={letter[1]})" if letter[1] in seen else rf"(?P<{letter[1]}>\d{{1,6}})")
            seen.add(letter[1])
        else:
            parts.append(re.escape(piece))
    return "".join(parts)


@dataclass(frozen=True)
class PinnedAxis:
    """An axis that is pinned; ``parts`` are those that are meant, None for the pin that holds it whole."""

    tensor: str
    axis: int
    parts: tuple[Part, ...] | None
    place: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.tensor}[{self.axis}]"


@dataclass(frozen=True)
class Release:
    """Pinned axes that become one group, ``over`` others."""

    name: str
    axes: tuple[PinnedAxis, ...]
    over: tuple[str, ...]
    place: str = field(compare=False)


@dataclass(frozen=True)
class Overrides:
    """What to change of what is derived."""

    pin: tuple[Pattern, ...] = ()
    tie: tuple[tuple[Pattern, ...], ...] = ()
    release: tuple[Release, ...] = ()
    rename: tuple[tuple[Pattern, str], ...] = ()


def mistake(place: str, message: str) -> SpecError:
    """The error about something that is written at a place (``file:line:column``)."""
    error = SpecError(f"{place}: {message}")
    line, column = place.rsplit(":", 2)[1:]
    error.position = (int(line), int(column))
    return error


def is_override(text: str, name: str = "<text>") -> bool:
    """Does a spec extend what is derived? False too for what is no spec at all."""
    try:
        root = Source(text, name).root
    except SpecError:
        return False
    keys = [key.value for key, _ in root.value] if isinstance(root, yaml.MappingNode) else []
    return "derive" in keys


def parse_overrides(text: str, name: str = "<text>") -> Overrides:
    """Read such a spec.

    Raises:
        SpecError: it says something wrong; several mistakes are reported together, one a line.
    """
    source = Source(text, name)
    sections = read_sections(source, SECTIONS, ("derive",))
    if source.text(sections["derive"], "'derive'") != "true":
        source.fail(
            sections["derive"],
            "'derive' is true, for a spec that changes what is derived; one that says everything itself has 'groups' "
            "and 'tensors' in its place",
        )
    _patterns(source, sections.get("model"), "'model'")  # for whoever reads the file; what it says is not used
    found = Overrides(
        pin=tuple(_patterns(source, sections.get("pin"), "'pin'")),
        tie=tuple(_ties(source, sections.get("tie"))),
        release=tuple(_releases(source, sections.get("release"))),
        rename=tuple(_renames(source, sections.get("rename"))),
    )
    source.finish()
    return found


def _patterns(source: Source, node: yaml.Node | None, what: str) -> list[Pattern]:
    if node is None:
        return []
    if isinstance(node, yaml.MappingNode):
        source.fail(node, f"{what} is a name or a list of names, as in [a, b]")
    items = [node] if isinstance(node, yaml.ScalarNode) else source.items(node, what)
    found = []
    for item in items:
        with source.collecting():
            found.append(_pattern(source, item, f"a name under {what}"))
    return found


def _pattern(source: Source, node: yaml.Node, what: str) -> Pattern:
    """A pattern that is matched in no time, whatever the names."""
    found = Pattern(source.text(node, what), source.place(node))
    stars = len(re.findall(r"\*+", found.text))
    if len(found.letters) > MOST_LETTERS or (found.letters and stars > MOST_STARS):
        source.fail(node, f"a name has at most {MOST_LETTERS} letters such as {{l}}, and {MOST_STARS} * beside them")
    return found


def _name(source: Source, node: yaml.Node) -> str:
    """A new name."""
    text = source.text(node, "a name")
    if len(text) > LONGEST:
        source.fail(node, f"a name of {len(text):,} characters; a group has {LONGEST} at most")
    return text


def _ties(source: Source, node: yaml.Node | None) -> list[tuple[Pattern, ...]]:
    found = []
    if node is not None and not isinstance(node, yaml.SequenceNode):
        source.fail(node, "'tie' is a list, each entry the names of what shall be one: [[layers.0.qk, layers.0.v]]")
    for item in source.items(node, "'tie'") if node is not None else []:
        with source.collecting():
            patterns = tuple(_patterns(source, item, "'tie'"))
            if len({pattern.letters for pattern in patterns}) > 1:
                source.fail(item, "names that are tied must have the same letters: [layers.{l}.qk, layers.{l}.v]")
            if len(patterns) == 1 and "*" not in patterns[0].text:
                source.fail(item, "a tie needs two names, as in [layers.0.ffn, layers.1.ffn], or one with a *")
            found.append(patterns)
    return found


def _releases(source: Source, node: yaml.Node | None) -> list[Release]:
    found = []
    for key, value in source.entries(node, "'release'") if node is not None else []:
        with source.collecting():
            fields: Mapping[str, yaml.Node] = {"axes": value}
            if isinstance(value, yaml.MappingNode):
                fields = source.fields(value, "a release", ("axes", "over"))
                if "axes" not in fields:
                    if len(fields) < len(value.value):
                        raise FollowUpError  # another key in its place, which is reported
                    source.fail(value, "a release needs axes, such as ['lm_head.weight[0]']")
            axes = [fields["axes"]] if isinstance(fields["axes"], yaml.ScalarNode) else None
            axes = source.items(fields["axes"], "the axes to release") if axes is None else axes
            over = _patterns(source, fields.get("over"), "'over'")
            name = _name(source, key)
            read = tuple(_axis(source, axis) for axis in axes)
            found.append(Release(name, read, tuple(p.text for p in over), source.place(key)))
    return found


def _axis(source: Source, node: yaml.Node) -> PinnedAxis:
    text = source.text(node, "an axis")
    found = _AXIS.fullmatch(text)
    if not found:
        source.fail(node, f"{quoted(text)} is no axis; write it like lm_head.weight[0]")
    parts = None
    if found[3]:
        try:
            parts = tuple(axis.part for axis in axes_in(found[1], int(found[2]), found[3]))
        except NotationError as error:
            source.refuse(node, NotationError(str(error), found.start(3) + error.column))
    return PinnedAxis(found[1], int(found[2]), parts, source.place(node))


def _renames(source: Source, node: yaml.Node | None) -> list[tuple[Pattern, str]]:
    found = []
    for key, value in source.entries(node, "'rename'") if node is not None else []:
        with source.collecting():
            old = _pattern(source, key, "a name")
            new = _name(source, value)
            if "*" in old.text + new:
                source.fail(key, "a rename has letters in place of *: layers.{l}.ffn: blocks.{l}.mlp")
            if extra := sorted(set(LETTER.findall(new)) ^ set(old.letters)):
                source.fail(value, f"{{{extra[0]}}} must stand in the old name and in the new one")
            found.append((old, new))
    return found
