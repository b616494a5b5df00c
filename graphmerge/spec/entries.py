"""The sections of a spec that name groups, tensors and pins, entry by entry, and whether they fit together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from graphmerge.spec.boxes import Vocabulary
from graphmerge.spec.declared import Declared, read_groups
from graphmerge.spec.letters import Repeats
from graphmerge.spec.notation import fill_text
from graphmerge.spec.pins import PinEntry, read_pins, whole_axes
from graphmerge.spec.source import FollowUpError, Source
from graphmerge.spec.tensors import Tensor, TensorReader
from graphmerge.spec.wording import nearest, quoted
from graphmerge.symmetry import UNKNOWN, Axis, Pin


@dataclass(frozen=True)
class Alias:
    """An entry ``name: = other``: one tensor under two names."""

    name: str
    other: str
    key: yaml.Node
    value: yaml.Node
    optional: bool


@dataclass(frozen=True)
class Entries:
    """What the sections say. ``dropped`` are names that stood only in optional tensors that the model does not have."""

    source: Source
    declared: Mapping[str, Declared]
    pins: Sequence[PinEntry]
    tensors: Mapping[str, Tensor]
    dropped: frozenset[str]

    @classmethod
    def read(
        cls, source: Source, repeats: Repeats, sections: Mapping[str, yaml.Node], present: Collection[str] | None
    ) -> Entries:
        """All entries; mistakes are noted. Optional tensors that are not ``present`` are read and left out."""
        declared = read_groups(source, repeats, sections["groups"])
        pins = read_pins(source, repeats, declared, sections.get("pinned"))
        groups = {n: d.group for n, d in declared.items() if d.pinned is None}
        vocabulary = Vocabulary(groups, {n: d.group.size for n, d in declared.items()})
        reader = TensorReader(source, vocabulary, whole_axes(axis for entry in pins for axis, _ in entry.axes or ()))
        tensors: dict[str, Tensor] = {}
        aliases: list[Alias] = []
        for written, key, value, letters in repeats.expanded(source.entries(sections["tensors"], "'tensors'")):
            name, optional = written.removesuffix("?"), written.endswith("?")
            with source.collecting(name):
                if name in tensors:
                    source.fail(key, f"{quoted(name)} is there with and without '?'; keep one")
                if (other := _other_name(source, value)) is not None:
                    aliases.append(Alias(name, fill_text(other, letters), key, value, optional))
                    tensors[name] = Tensor(key, (), (), optional)  # holds its place
                else:
                    tensors[name] = replace(reader.read(name, key, value, letters), optional=optional)
        for alias in aliases:
            with source.collecting(alias.name):
                tensors[alias.name] = _followed(source, alias, tensors, aliases)
        gone = {n for n, t in tensors.items() if t.optional and present is not None and n not in present}
        kept = {n: t for n, t in tensors.items() if n not in gone}
        dropped = _standing(tensors[n] for n in gone) - _standing(kept.values())
        pins = [_within(entry, gone) for entry in pins]
        return cls(source, declared, [p for p in pins if p.axes != ()], kept, frozenset(dropped))

    def check_reach(self) -> None:
        """Note pins that leave the tensors that the spec describes."""
        for entry in self.pins:
            for axis, node in entry.axes or ():
                if axis.tensor in self.tensors:
                    with self.source.collecting():
                        self._check_axis(axis, node, self.tensors[axis.tensor].shape)

    def _check_axis(self, axis: Axis, node: yaml.Node, shape: tuple[int, ...]) -> None:
        if axis.axis >= len(shape):
            self.source.fail(
                node, f"{axis.tensor} has {len(shape)} axes, so none is numbered {axis.axis}; count from 0"
            )
        last, length = axis.part.run.last, shape[axis.axis]
        if length != UNKNOWN and last >= length:
            self.source.fail(node, f"this reaches to unit {last}, but the axis has {length} units under 'tensors'")

    def check_used(self, moving: Collection[str]) -> None:
        """Note groups that move nothing, and pinned leaves that stand in no tensor and under no group."""
        bases = {base for d in self.declared.values() for base in d.group.over}
        standing = _standing(self.tensors.values()) | bases | self.dropped
        for name, entry in self.declared.items():
            if name not in (standing if entry.pinned is not None else {*moving, *self.dropped}):
                with self.source.collecting():
                    self.source.fail(entry.key, f"no tensor names {name!r}; name it under 'tensors' or remove it")

    def pinned(self) -> tuple[Pin, ...]:
        """The pins in the order of their section, then those that only ``groups`` declares."""
        listed = {entry.pin.name for entry in self.pins}
        unlisted = [
            PinEntry(Pin((), d.pinned, name, d.group.size), None)
            for name, d in self.declared.items()
            if d.pinned is not None and name not in listed and name not in self.dropped
        ]
        return tuple(
            replace(entry.pin, axes=tuple(self._axes_of(str(entry.pin.name)))) if entry.axes is None else entry.pin
            for entry in (*self.pins, *unlisted)
        )

    def _axes_of(self, name: str) -> list[Axis]:
        """Where the tensors name a pinned leaf, in order."""
        return [axis for key, tensor in self.tensors.items() for axis in tensor.axes_of(key, name)]


def _other_name(source: Source, value: yaml.Node) -> str | None:
    """The name in ``= other``, or None for axes."""
    if not isinstance(value, yaml.ScalarNode) or not value.value.startswith("="):
        return None
    other = source.text(value, "the axes")[1:].strip()
    if not other:
        source.fail(value, "'=' needs the name of the tensor that this one is: = model.embed_tokens.weight")
    return other


def _followed(source: Source, alias: Alias, tensors: Mapping[str, Tensor], aliases: Sequence[Alias]) -> Tensor:
    """The tensor that an alias stands for, under its own key."""
    if source.is_broken(alias.other):
        raise FollowUpError
    if alias.other not in tensors or any(a.name == alias.other for a in aliases):
        what = "is itself another's name" if alias.other in tensors else "has no entry of its own"
        hint = nearest(alias.other, tensors) if alias.other not in tensors else ""
        source.fail(alias.value, f"{quoted(alias.other)} {what}{hint or '; name one that has axes'}")
    return replace(tensors[alias.other], key=alias.key, optional=alias.optional)


def _standing(tensors: Iterable[Tensor]) -> set[str]:
    """The names in the axes of these tensors."""
    return {name.text for tensor in tensors for box in tensor.boxes for name in box.names if name is not None}


def _within(entry: PinEntry, gone: Collection[str]) -> PinEntry:
    """A pin without the axes of tensors that are not there."""
    if entry.axes is None or not gone:
        return entry
    axes = tuple((axis, node) for axis, node in entry.axes if axis.tensor not in gone)
    return PinEntry(replace(entry.pin, axes=tuple(axis for axis, _ in axes)), axes)
