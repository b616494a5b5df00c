"""The ``pinned`` section of a spec: why units stay, axis by axis.

Each item is a pin: ``reason``, and ``axes`` such as ``lm_head.weight[0] _32000``. There ``_64`` is a factor of the
pin, a bare number a factor that is none of it, and ``-64`` leaves units out: ``q_proj.weight[0] (32 (_64 + -64))``.
``pin: name`` in place of the reason means one that is declared under ``groups``; its axes may be left out where the
tensors name it. ``each: l`` says that the item stands for a pin of its own for every l; other letters in ``axes`` only
list axes of the one pin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from graphmerge.spec.declared import Declared
from graphmerge.spec.letters import Repeats
from graphmerge.spec.notation import Fixed, Name, NotationError, fill_text, parse_axes, segments_of
from graphmerge.spec.quantities import LARGEST
from graphmerge.spec.repeat import Value, expand
from graphmerge.spec.source import FollowUpError, Source
from graphmerge.spec.wording import nearest, quoted
from graphmerge.symmetry import Axis, Part, Pin

_AXIS = re.compile(r"(.+)\[(\d+)\] (.+)", re.DOTALL)


@dataclass(frozen=True)
class PinEntry:
    """One pin of the file; ``axes`` with the nodes they are written in, None where the tensors say them."""

    pin: Pin
    axes: tuple[tuple[Axis, yaml.Node], ...] | None


def read_pins(
    source: Source, repeats: Repeats, declared: Mapping[str, Declared], node: yaml.Node | None
) -> list[PinEntry]:
    """The pins of the section, in order; those with a mistake are noted and left out."""
    fields: dict[yaml.Node, dict[str, yaml.Node]] = {}
    each: dict[yaml.Node, set[str]] = {}
    for item in source.items(node, "'pinned'") if node is not None else []:
        with source.collecting():
            fields[item] = source.fields(item, "a pin", ("pin", "each", "reason", "size", "axes"))
            each[item] = _each(source, repeats, fields[item].get("each"))
            repeats.check_count(item, each[item])
    found: list[PinEntry] = []
    names: set[str] = set()
    for item, letters in expand(list(each), each.__getitem__, repeats.ranges):
        with source.collecting():
            entry = _pin(source, repeats, declared, item, fields[item], letters)
            if entry.pin.name in names:
                source.fail(item, f"{entry.pin.name!r} is listed twice under 'pinned'; keep one")
            names |= {entry.pin.name} if entry.pin.name is not None else set()
            found.append(entry)
    return found


def _each(source: Source, repeats: Repeats, node: yaml.Node | None) -> set[str]:
    if node is None:
        return set()
    nodes = [node] if isinstance(node, yaml.ScalarNode) else source.items(node, "'each'")
    letters = [source.text(n, "a letter") for n in nodes]
    repeats.known(nodes, letters)
    return set(letters)


def _pin(
    source: Source,
    repeats: Repeats,
    declared: Mapping[str, Declared],
    item: yaml.Node,
    fields: Mapping[str, yaml.Node],
    numbers: Mapping[str, Value],
) -> PinEntry:
    axes = None
    if "axes" in fields:
        axes = tuple(_axes(source, repeats, source.items(fields["axes"], "'axes'"), numbers))
    if ("pin" in fields) == ("reason" in fields):
        source.fail(item, "a pin has either 'pin' (a name under 'groups') or 'reason'")
    pin_axes = tuple(axis for axis, _ in axes or ())
    if "reason" in fields:
        if not axes:
            source.fail(item, "a pin without a name needs 'axes'")
        size = source.number(fields["size"], "a size") if "size" in fields else None
        return PinEntry(Pin(pin_axes, fill_text(source.text(fields["reason"], "a reason"), numbers), size=size), axes)
    name = fill_text(source.text(fields["pin"], "a name"), numbers)
    reason = declared[name].pinned if name in declared else None
    if reason is None:
        if source.is_broken(name):
            raise FollowUpError
        pinned = [other for other, d in declared.items() if d.pinned is not None]
        hint = nearest(name, pinned) or "; declare it under 'groups' as {size: 12, pinned: why}"
        source.fail(fields["pin"], f"no pinned leaf is called {quoted(name)}{hint}")
    if "size" in fields:
        source.fail(fields["size"], f"the size of {name!r} stands under 'groups'; remove it here")
    return PinEntry(Pin(pin_axes, reason, name, declared[name].group.size), axes)


def _axes(
    source: Source, repeats: Repeats, nodes: Sequence[yaml.Node], numbers: Mapping[str, Value]
) -> Iterator[tuple[Axis, yaml.Node]]:
    own = {letter: values for letter, values in repeats.ranges.items() if letter not in numbers}
    letters = {node: repeats.letters_in(node) - set(numbers) for node in nodes}
    for node in nodes:
        repeats.check_count(node, letters[node])
    for node, more in expand(nodes, letters.__getitem__, own):
        text = source.text(node, "an axis")
        found = _AXIS.fullmatch(text)
        if not found:
            source.fail(node, f"{quoted(text)} is no axis; write it like lm_head.weight[0] _32000")
        try:
            for axis in axes_in(fill_text(found[1], {**numbers, **more}), int(found[2][:6]), found[3]):
                yield axis, node
        except NotationError as error:
            source.refuse(node, NotationError(str(error), found.start(3) + error.column))


def axes_in(tensor: str, axis: int, text: str) -> list[Axis]:
    """The parts of an axis that are marked as pinned in a text such as ``(32 (_64 + -64))``.

    Raises:
        NotationError: the text says something else than sizes.
    """
    axes = parse_axes(text)
    if len(axes) != 1 or axes[0] == Fixed(None):
        raise NotationError("one axis with the sizes of its parts is wanted here, such as _32000 or (32 _64)", 0)
    length, segments = segments_of(axes[0], _size_of)
    if length > LARGEST:
        raise NotationError(f"an axis has at most {LARGEST} units; make its factors smaller", 0)
    return [
        Axis(tensor, axis, Part(segment.run, (k,)))
        for segment in segments
        for k, factor in enumerate(segment.factors)
        if factor.name is None
    ]


def whole_axes(axes: Iterable[Axis]) -> dict[tuple[str, int], int]:
    """Lengths of the axes (tensor and number) that a pin holds from end to end, if it holds them whole."""
    runs = (((axis.tensor, axis.axis), axis.part.run) for axis in axes)
    return {place: run.length for place, run in runs if run.offset == 0 and run.strides == (1,)}


def _size_of(name: Name) -> int:
    if not re.fullmatch(r"[1-9]\d{0,9}", name.text):
        raise NotationError(
            f"{quoted(name.text)} is no size; write _64 for pinned units and 64 for others", name.column
        )
    return int(name.text)
