"""Reading a spec: the file as a Symmetry, with every mistake reported where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from graphmerge.errors import SpecError
from graphmerge.spec.entries import Entries
from graphmerge.spec.letters import Repeats
from graphmerge.spec.quantities import Quantities
from graphmerge.spec.source import Source
from graphmerge.spec.target import Target
from graphmerge.spec.wording import quoted
from graphmerge.symmetry import Block, Symmetry, members_of

VERSION = 1
SECTIONS = ("graphmerge", "model", "sizes", "repeat", "groups", "tensors", "pinned", "notes")


def load_spec(path: str | Path, target: Target | None = None) -> Symmetry:
    """Read a permutation spec.

    Axes that the spec leaves open (a bare ``_``) get their length from the weights that the symmetry is applied to.

    Args:
        target: the model that it is for, where sizes refer to its config.

    Raises:
        SpecError: the file is missing, or says something wrong: file, line, column and what to do.
    """
    return parse_spec(read_text(path), str(path), target)


def read_text(path: str | Path) -> str:
    """The text of a file.

    Raises:
        SpecError: it is missing, or no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SpecError(f"cannot read the spec {path}: {reason}") from None


def parse_spec(text: str, name: str = "<text>", target: Target | None = None) -> Symmetry:
    """A Symmetry from the text of a spec; ``name`` stands for the file in errors.

    Raises:
        SpecError: as for `load_spec`; several mistakes are reported together, one a line.
    """
    target = target or Target()
    source = Source(text, name, Quantities(target.config))
    sections = read_sections(source, SECTIONS, ("groups", "tensors"))
    read_sizes(source, sections.get("sizes"))
    repeats = Repeats(source, sections.get("repeat"))
    source.finish()
    entries = Entries.read(source, repeats, sections, target.shapes)
    repeats.check_used()
    source.finish()
    layout = {key: tensor.blocks for key, tensor in entries.tensors.items() if tensor.blocks}
    entries.check_reach()
    entries.check_used(members_of(layout))
    source.finish()
    layout = _united(layout, {n: d.same for n, d in entries.declared.items() if d.same is not None})
    members = members_of(layout)
    groups = {n: d.group for n, d in entries.declared.items() if d.pinned is None and n in members}
    optional = {key for key, tensor in entries.tensors.items() if tensor.optional and key in layout}
    notes = source.items(sections["notes"], "'notes'") if "notes" in sections else ()
    return Symmetry(
        groups=tuple(replace(group, members=members[n]) for n, group in groups.items()),
        pinned=entries.pinned(),
        layout=layout,
        shapes={key: entries.tensors[key].shape for key in layout},
        model=target.model or _models(source, sections.get("model"))[0],
        notes=tuple(source.text(note, "a note") for note in notes),
        optional=frozenset(optional if target.shapes is None else ()),
        places={n: source.place(d.key) for n, d in entries.declared.items()}
        | {key: source.place(tensor.key) for key, tensor in entries.tensors.items()},
        comments=source.comments(_anchors(source, entries)),
    )


def _united(layout: Mapping[str, tuple[Block, ...]], same: Mapping[str, str]) -> dict[str, tuple[Block, ...]]:
    """The blocks with every group in the place of those that are one with it."""

    def united(block: Block) -> Block:
        return replace(block, moves=tuple(replace(m, group=same.get(m.group, m.group)) for m in block.moves))

    return {key: tuple(map(united, blocks)) if same else blocks for key, blocks in layout.items()}


def _anchors(source: Source, entries: Entries) -> dict[int, str]:
    """What stands in which line: sections, and the first group or tensor that an entry stands for."""
    found = {key.start_mark.line: key.value for key, _ in source.entries(source.root, "a spec")}
    for section, keys in (
        ("groups", {name: declared.key for name, declared in entries.declared.items()}),
        ("tensors", {name: tensor.key for name, tensor in entries.tensors.items()}),
    ):
        for name, key in keys.items():
            found.setdefault(key.start_mark.line, f"{section} {name}")
    return found


def models_of(text: str, name: str = "<text>") -> tuple[str, ...]:
    """The model classes that a spec says it is for; none if it does not say."""
    source = Source(text, name)
    for key, value in source.entries(source.root, "a spec"):
        if key.value == "model":
            return tuple(found for found in _models(source, value) if found)
    return ()


def read_sections(source: Source, known: Sequence[str], needed: Sequence[str]) -> dict[str, yaml.Node]:
    """The sections of a file with their nodes.

    Raises:
        SpecError: an unknown or missing one, or another version.
    """
    sections = source.fields(source.root, "a spec", known)
    source.finish()
    for section in ("graphmerge", *needed):
        if section not in sections:
            with source.collecting():
                source.fail(source.root, f"the spec has no {section!r}; add it")
    source.finish()
    if (version := source.text(sections["graphmerge"], "the version")) != str(VERSION):
        source.fail(
            sections["graphmerge"], f"this is version {quoted(version)} of the notation; {VERSION} is the only one"
        )
    return sections


def read_sizes(source: Source, node: yaml.Node | None) -> None:
    """Give the names of the ``sizes`` section to all that stands after them."""
    for key, value in source.entries(node, "'sizes'") if node is not None else []:
        with source.collecting():
            name = source.text(key, "a name")
            if not name.isidentifier() or name == "or":
                source.fail(key, f"{quoted(name)} is no name of a size; use letters, digits and _")
            source.quantities.known[name] = source.number(value, f"the size {name}")


def _models(source: Source, node: yaml.Node | None) -> list[str]:
    """The classes that a spec is for."""
    if node is None:
        return [""]
    if isinstance(node, yaml.ScalarNode):
        return [source.text(node, "the model")]
    return [source.text(item, "a model") for item in source.items(node, "'model'")] or [""]
