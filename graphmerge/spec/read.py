"""Reading a spec: the file as a Symmetry, with every mistake reported where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from graphmerge.errors import SpecError
from graphmerge.spec.boxes import Vocabulary
from graphmerge.spec.declared import Declared, Repeats, read_groups
from graphmerge.spec.pins import PinEntry, read_pins, whole_axes
from graphmerge.spec.source import Source
from graphmerge.spec.tensors import Tensor, TensorReader
from graphmerge.symmetry import UNKNOWN, Axis, Pin, Symmetry, members_of

VERSION = 1
SECTIONS = ("graphmerge", "model", "repeat", "groups", "tensors", "pinned", "notes")


def load_spec(path: str | Path) -> Symmetry:
    """Read a permutation spec.

    Axes that the spec leaves open (a bare ``_``) get their length from the weights that the symmetry is applied to.

    Raises:
        SpecError: the file is missing, or says something wrong: file, line, column and what to do.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SpecError(f"cannot read the spec {path}: {reason}") from None
    return parse_spec(text, str(path))


def parse_spec(text: str, name: str = "<text>") -> Symmetry:
    """A Symmetry from the text of a spec; ``name`` stands for the file in errors.

    Raises:
        SpecError: as for `load_spec`.
    """
    source = Source(text, name)
    sections = source.fields(source.root, "a spec", SECTIONS)
    for section in ("graphmerge", "groups", "tensors"):
        if section not in sections:
            source.fail(source.root, f"the spec has no {section!r}; add it")
    if (version := source.text(sections["graphmerge"], "the version")) != str(VERSION):
        source.fail(sections["graphmerge"], f"this is version {version!r} of the notation; {VERSION} is the only one")
    repeats = Repeats(source, sections.get("repeat"))
    declared = read_groups(source, repeats, sections["groups"])
    pins = read_pins(source, repeats, declared, sections.get("pinned"))

    groups = {n: d.group for n, d in declared.items() if d.pinned is None}
    vocabulary = Vocabulary(groups, {n: d.group.size for n, d in declared.items()})
    reader = TensorReader(source, vocabulary, whole_axes(axis for entry in pins for axis, _ in entry.axes or ()))
    tensors = {
        name: reader.read(name, key, value, numbers)
        for name, key, value, numbers in repeats.expanded(source.entries(sections["tensors"], "'tensors'"))
    }
    repeats.check_used()
    _check_reach(source, pins, tensors)

    layout = {key: tensor.blocks for key, tensor in tensors.items() if tensor.blocks}
    members = members_of(layout)
    _check_used(source, declared, tensors, members)
    return Symmetry(
        groups=tuple(replace(group, members=members[n]) for n, group in groups.items()),
        pinned=_pinned(pins, declared, tensors),
        layout=layout,
        shapes={key: tensors[key].shape for key in layout},
        model=source.text(sections["model"], "the model") if "model" in sections else "",
        notes=tuple(source.text(note, "a note") for note in source.items(sections["notes"], "'notes'"))
        if "notes" in sections
        else (),
        places={n: source.place(d.key) for n, d in declared.items()}
        | {key: source.place(tensor.key) for key, tensor in tensors.items()},
    )


def _check_reach(source: Source, pins: Sequence[PinEntry], tensors: Mapping[str, Tensor]) -> None:
    """A pin must stay within the tensors that the spec describes."""
    for entry in pins:
        for axis, node in entry.axes or ():
            if axis.tensor not in tensors:
                continue
            shape = tensors[axis.tensor].shape
            if axis.axis >= len(shape):
                source.fail(node, f"{axis.tensor} has {len(shape)} axes, so none is numbered {axis.axis}; count from 0")
            last = int(axis.part.run.units().max())
            if shape[axis.axis] != UNKNOWN and last >= shape[axis.axis]:
                length = shape[axis.axis]
                source.fail(node, f"this reaches to unit {last}, but the axis has {length} units under 'tensors'")


def _check_used(
    source: Source, declared: Mapping[str, Declared], tensors: Mapping[str, Tensor], members: Mapping[str, object]
) -> None:
    """A group must move something; a pinned leaf must stand in a tensor, or under a group."""
    bases = {base for d in declared.values() for base in d.group.over}
    standing = {name.text for t in tensors.values() for box in t.boxes for name in box.names if name is not None}
    for name, entry in declared.items():
        used = name in members if entry.pinned is None else name in standing | bases
        if not used:
            source.fail(entry.key, f"no tensor names {name!r}; name it under 'tensors' or remove it")


def _pinned(
    pins: Sequence[PinEntry], declared: Mapping[str, Declared], tensors: Mapping[str, Tensor]
) -> tuple[Pin, ...]:
    """The pins in the order of their section, then those that only ``groups`` declares."""
    listed = {entry.pin.name for entry in pins}
    unlisted = [
        PinEntry(Pin((), d.pinned, name, d.group.size), None)
        for name, d in declared.items()
        if d.pinned is not None and name not in listed
    ]
    return tuple(
        replace(entry.pin, axes=tuple(_named_axes(str(entry.pin.name), tensors))) if entry.axes is None else entry.pin
        for entry in (*pins, *unlisted)
    )


def _named_axes(name: str, tensors: Mapping[str, Tensor]) -> list[Axis]:
    """Where the tensors name a pinned leaf, in order."""
    return [axis for key, tensor in tensors.items() for axis in tensor.axes_of(key, name)]
