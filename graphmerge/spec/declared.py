"""The ``groups`` section of a spec: what is declared, and whether what is over what makes sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from graphmerge.spec.letters import Repeats
from graphmerge.spec.notation import fill_text
from graphmerge.spec.quantities import MISSING
from graphmerge.spec.repeat import Value
from graphmerge.spec.source import FollowUpError, Source
from graphmerge.spec.wording import nearest, quoted
from graphmerge.symmetry import KINDS, Group


@dataclass(frozen=True)
class Declared:
    """One name of the ``groups`` section, or one that its template stands for."""

    group: Group
    pinned: str | None  # the reason, if it is a pinned leaf and no group
    key: yaml.Node
    over: tuple[yaml.Node, ...]  # where its bases are written
    same: str | None = None  # the group that it is one with, by the config of this model
    same_at: yaml.Node | None = None


def read_groups(source: Source, repeats: Repeats, node: yaml.Node) -> dict[str, Declared]:
    """Groups and named pins in the order of the file; those with a mistake are noted and left out."""
    declared: dict[str, Declared] = {}
    for name, key, value, letters in repeats.expanded(source.entries(node, "'groups'")):
        with source.collecting(name):
            declared[name] = _declared(source, name, key, value, letters)
    for check in (_check_known, _check_bases, _check_same):
        for name, entry in list(declared.items()):
            with source.collecting(name):
                check(source, entry, declared)
            if source.is_broken(name):
                del declared[name]
    return declared


def _declared(source: Source, name: str, key: yaml.Node, value: yaml.Node, letters: Mapping[str, Value]) -> Declared:
    if isinstance(value, yaml.ScalarNode):
        return Declared(Group(name, source.number(value, f"the size of {name}", letters)), None, key, ())
    if not isinstance(value, yaml.MappingNode):
        source.fail(value, f"{name} must be a size, such as 64, or {{size: 64, over: heads}}")
    fields = source.fields(value, f"{name}", ("size", "over", "kind", "pinned", "is"))
    if "size" not in fields:
        source.fail(value, f"{name} needs a size: {{size: 64}}")
    if "pinned" in fields and len(fields) > 2:
        source.fail(value, f"{name} is pinned: it has a size and a reason, and neither 'over' nor 'kind' nor 'is'")
    over = _over(source, fields.get("over"))
    kind = source.text(fields["kind"], "a kind") if "kind" in fields else KINDS[0]
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or f"; it is one of {', '.join(KINDS)}"
        source.fail(fields["kind"], f"unknown kind {quoted(kind)}{hint}")
    bases = tuple(fill_text(source.text(base, "a base"), letters) for base in over)
    reason = fill_text(source.text(fields["pinned"], "the reason of a pin"), letters) if "pinned" in fields else None
    size = source.number(fields["size"], "a size", letters)
    same = _same(source, fields["is"], letters) if "is" in fields else None
    return Declared(Group(name, size, bases, kind=kind), reason, key, over, same, fields.get("is"))


def _same(source: Source, node: yaml.Node, letters: Mapping[str, Value]) -> str | None:
    """The other group in ``residual if tie_word_embeddings``; None if the config says no."""
    text = fill_text(source.text(node, "'is'"), letters)
    found = re.fullmatch(r"(.+?)\s+if\s+([A-Za-z_][\w.]*)", text)
    if found is None:
        source.fail(node, f"{quoted(text)} must be a group and a setting, as in residual if tie_word_embeddings")
    if source.quantities.config is None:
        source.fail(
            node, f"whether {found[2]} holds is said by a config; give the model too: gm.load_spec(path, model)"
        )
    value = source.quantities.setting(found[2])
    if not isinstance(value, bool):
        said = f"is {str(value)[:40]!r} in the config, which is neither true nor false"
        hint = f"is not in the config; {source.quantities.nearest(found[2])}"
        source.fail(node, f"{found[2]!r} {hint if value is MISSING else said}", found.start(2))
    return found[1] if value else None


def _check_same(source: Source, entry: Declared, declared: Mapping[str, Declared]) -> None:
    if entry.same is None or entry.same_at is None:
        return
    other, group, node = declared.get(entry.same), entry.group, entry.same_at
    if other is None:
        if source.is_broken(entry.same):
            raise FollowUpError
        hint = nearest(entry.same, declared) or "; declare it under 'groups'"
        source.fail(node, f"no group is called {quoted(entry.same)}{hint}")
    if other.same is not None or other.pinned is not None or other.group.name == group.name:
        source.fail(node, f"{quoted(entry.same)} must be a group that moves and has no 'is' of its own")
    if (other.group.size, other.group.over) != (group.size, group.over):
        source.fail(node, f"{group.name} and {other.group.name} have different sizes or bases; they cannot be one")


def _over(source: Source, node: yaml.Node | None) -> tuple[yaml.Node, ...]:
    if node is None:
        return ()
    return (node,) if isinstance(node, yaml.ScalarNode) else tuple(source.items(node, "'over'"))


def _check_known(source: Source, entry: Declared, declared: Mapping[str, Declared]) -> None:
    for base, where in zip(entry.group.over, entry.over):
        if source.is_broken(base):
            raise FollowUpError
        if base not in declared:
            hint = nearest(base, declared) or "; declare it under 'groups'"
            source.fail(where, f"no group is called {quoted(base)}{hint}")


def _check_bases(source: Source, entry: Declared, declared: Mapping[str, Declared]) -> None:
    name = entry.group.name
    for base, where in zip(entry.group.over, entry.over):
        if base not in declared:
            raise FollowUpError
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
        if base in declared and base not in seen and (rest := _path(base, goal, declared, seen | {start})):
            return (start, *rest)
    return ()
