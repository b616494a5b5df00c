"""Writing a spec: a Symmetry as YAML, layers folded into templates. Reading the text gives an equal Symmetry back."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from graphmerge.errors import SpecError
from graphmerge.files import write_beside
from graphmerge.spec.axes_text import Row, TensorWriter
from graphmerge.spec.comments import END, Comment, with_comments
from graphmerge.spec.express import NotExpressibleError, express
from graphmerge.spec.notation import LETTER, Factor, Gap, Name, NotationError, Segment, fill_text
from graphmerge.spec.pins import axes_in, whole_axes
from graphmerge.spec.read import VERSION, parse_spec
from graphmerge.spec.repeat import Letters, Value, fold
from graphmerge.spec.words import fold_words
from graphmerge.symmetry import KINDS, Axis, Pin, Symmetry


def save_spec(symmetry: Symmetry, path: str | Path) -> None:
    """Write a permutation spec; `load_spec` gives an equal Symmetry back, and saving that gives the same bytes.

    Raises:
        SpecError: the notation cannot say this symmetry.
    """
    text = spec_text(symmetry)
    with write_beside(Path(path)) as beside:
        beside.write_text(text, encoding="utf-8")


def spec_text(symmetry: Symmetry) -> str:
    """The text that `save_spec` writes.

    Raises:
        SpecError: the notation cannot say this symmetry.
    """
    if symmetry.unsound:
        raise SpecError(f"a spec holds what leaves the function unchanged, and this does not: {symmetry.unsound[0]}")
    groups, tensors = [json.dumps(entry) for entry in _groups(symmetry)], _tensors(symmetry)
    pins = [json.dumps(entry) for entry in _pins(symmetry, symmetry.pinned)]
    letters = Letters(taken={letter for text in (*groups, *tensors, *pins) for letter in LETTER.findall(text)})
    said_of = _Comments(symmetry.comments, letters)
    body = [*said_of.section("groups:" if groups else "groups: {}")]
    for entry in map(json.loads, fold(groups, letters)):
        body += said_of.entry("groups", entry[0], [_group_line(entry)])
    body += said_of.section("tensors:" if tensors else "tensors: {}")
    for key, axes in fold_words([json.loads(entry) for entry in fold(tensors, letters)], letters):
        body += said_of.entry("tensors", key, _tensor_lines(key, axes))
    named = any(pin.name is not None for pin in symmetry.pinned)
    said = _read(symmetry, _head(symmetry, letters) + body).pinned if named else ()
    if said != symmetry.pinned:
        pins = [json.dumps(entry) for entry in _pins(symmetry, said)]
        body += said_of.section("pinned:")
        body += [line for entry in fold(pins, letters) for line in _pin_lines(json.loads(entry), letters)]
    if symmetry.notes:
        body += [*said_of.section("notes:"), *(f"  - {_scalar(note)}" for note in symmetry.notes)]
    lines = [line for head in _head(symmetry, letters) for line in said_of.section(head)] + body
    lines += said_of.end()
    read = _read(symmetry, lines)
    for field in fields(Symmetry):
        if field.compare and getattr(read, field.name) != getattr(symmetry, field.name):
            raise SpecError(f"the notation cannot say this symmetry: its {field.name} would come back different")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Comments:
    """The comments of the file that a symmetry was read from, beside the same entries."""

    comments: Mapping[str, Comment]
    letters: Letters

    def section(self, line: str) -> list[str]:
        return list(with_comments([line], self.comments.get(line.partition(":")[0])))

    def entry(self, section: str, template: str, lines: Sequence[str]) -> list[str]:
        """The lines of a template; its comment is that of the first entry that it stands for."""
        first = {letter: values[0] for letter, values in self.letters.ranges().items()}
        name = fill_text(template, first).removesuffix("?" if section == "tensors" else "")
        return list(with_comments(lines, self.comments.get(f"{section} {name}")))

    def end(self) -> tuple[str, ...]:
        return self.comments[END].above if END in self.comments else ()


def _head(symmetry: Symmetry, letters: Letters) -> list[str]:
    ranges = [f"{letter}: {_values(values)}" for letter, values in letters.ranges().items()]
    repeat = [f"repeat: {{{', '.join(ranges)}}}"] if ranges else []
    return [f"graphmerge: {VERSION}", f"model: {_scalar(symmetry.model)}", *repeat]


def _values(values: Sequence[Value]) -> str:
    """What a letter stands for: a range, or a list of words."""
    if isinstance(values, range):
        return f"{values[0]}..{values[-1]}"
    return f"[{', '.join(_in_flow(str(value)) for value in values)}]"


def _read(symmetry: Symmetry, lines: Sequence[str]) -> Symmetry:
    """What a reader makes of these lines."""
    try:
        return parse_spec("\n".join(lines), f"the spec of {symmetry.model or 'this symmetry'}")
    except SpecError as error:
        raise SpecError(f"the notation cannot say this symmetry: {error}") from None


# -- entries: nested lists of text, so that templates can be found in them ---------------------------------------------


def _groups(symmetry: Symmetry) -> Iterator[list[Any]]:
    """Name, size, bases, kind and reason of every group, and of every named pin before the first group over it."""
    pins = {pin.name: pin for pin in symmetry.pinned if pin.name is not None}
    for group in symmetry.groups:
        for base in group.over:
            if pin := pins.pop(base, None):
                yield [base, str(pin.size), [], "", pin.reason]
        yield [group.name, str(group.size), list(group.over), "" if group.kind == KINDS[0] else group.kind, ""]
    for name, pin in pins.items():
        yield [name, str(pin.size), [], "", pin.reason]


def _tensors(symmetry: Symmetry) -> list[str]:
    """Key and axes of every tensor that moves."""
    writer = TensorWriter(symmetry, whole_axes(axis for pin in symmetry.pinned for axis in pin.axes))
    entries = []
    for key in symmetry.layout:
        try:
            entries.append(json.dumps([key + "?" * (key in symmetry.optional), writer.write(key)]))
        except NotExpressibleError:
            raise SpecError(f"the notation cannot say the blocks of {key}: they are no products or sums") from None
    return entries


def _pins(symmetry: Symmetry, said: Sequence[Pin]) -> Iterator[list[Any]]:
    """Name, reason, size and axes of every pin; a named pin of ``said`` needs no axes, the tensors say them."""
    for pin in symmetry.pinned:
        if pin.name is None:
            yield ["", pin.reason, str(pin.size or ""), _pin_axes(pin)]
        else:
            yield [pin.name, "", "", [] if pin in said else _pin_axes(pin)]


def _pin_axes(pin: Pin) -> list[str]:
    """One text for neighbouring parts of one axis, if it means just them; else one for each."""
    found = []
    for _, parts in itertools.groupby(pin.axes, key=lambda axis: (axis.tensor, axis.axis)):
        same = list(parts)
        together = _pin_axis(same)
        found += [together] if together else [_single_pin_axis(axis) for axis in same]
    return found


def _single_pin_axis(axis: Axis) -> str:
    text = _pin_axis([axis])
    if not text:
        raise SpecError(f"the notation cannot say the pin {axis}: it is no product or sum")
    return text


def _pin_axis(axes: Sequence[Axis]) -> str | None:
    segments = [
        Segment(
            axis.part.run.offset,
            tuple(
                Factor(size, stride, None if k in axis.part.factors else Name(str(size)))
                for k, (size, stride) in enumerate(zip(axis.part.run.sizes, axis.part.run.strides))
            ),
        )
        for axis in axes
    ]
    tensor, number = axes[0].tensor, axes[0].axis
    try:
        text = str(express(segments, None, Gap))
        same = axes_in(tensor, number, text) == list(axes)
    except (NotExpressibleError, NotationError):
        return None
    return f"{tensor}[{number}] {text}" if same else None


# -- lines of YAML -----------------------------------------------------------------------------------------------------


def _group_line(group: Sequence[Any]) -> str:
    name, size, over, kind, reason = group
    facts = [f"size: {size}"]
    if over:
        facts.append(f"over: {_in_flow(over[0])}" if len(over) == 1 else f"over: [{', '.join(map(_in_flow, over))}]")
    facts += [f"{key}: {_in_flow(value)}" for key, value in (("kind", kind), ("pinned", reason)) if value]
    return f"  {_scalar(name)}: " + (size if len(facts) == 1 else f"{{{', '.join(facts)}}}")


def _tensor_lines(key: str, axes: str | list[Row]) -> list[str]:
    if isinstance(axes, str):
        return [f"  {_scalar(key)}: {_scalar(axes)}"]
    lines = [f"  {_scalar(key)}:"]
    for rows, text in axes:
        facts = ([f"rows: {rows}"] if rows else []) + [f"axes: {_scalar(text)}"]
        lines += [f"    {'-' if k == 0 else ' '} {fact}" for k, fact in enumerate(facts)]
    return lines


def _pin_lines(pin: Sequence[Any], letters: Letters) -> list[str]:
    name, reason, size, axes = pin
    each = [x for x in letters.ranges() if x in LETTER.findall(json.dumps(pin))]
    facts = [f"pin: {_scalar(name)}" if name else f"reason: {_scalar(reason)}"]
    if each:
        facts.append(f"each: {each[0]}" if len(each) == 1 else f"each: [{', '.join(each)}]")
    facts += [f"size: {size}"] if size else []
    folded = fold(axes, letters, len(each))
    facts += [f"axes: [{_in_flow(folded[0])}]"] if len(folded) == 1 else ["axes:"] if folded else []
    lines = [f"  {'-' if k == 0 else ' '} {fact}" for k, fact in enumerate(facts)]
    return lines + [f"      - {_scalar(axis)}" for axis in folded if len(folded) > 1]


def _in_flow(text: str) -> str:
    """A scalar inside braces or brackets."""
    return _quoted(text) if set(text) & set("{}[],") else _scalar(text)


def _scalar(text: str) -> str:
    """A scalar on a line of its own: plain where YAML reads it back as this text."""
    try:
        plain = yaml.safe_load(f"{text}: {text}\n") == {text: text}
    except yaml.YAMLError:
        plain = False
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', width=math.inf, allow_unicode=True).strip()
