"""The ``tensors`` section of a spec: the boxes and the shape of every tensor."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import yaml

from graphmerge.spec.boxes import Box, Vocabulary, boxes_of
from graphmerge.spec.notation import Fixed, Node, NotationError, fill, parse_axes
from graphmerge.spec.repeat import Value
from graphmerge.spec.source import FollowUpError, Source
from graphmerge.symmetry import UNKNOWN, Axis, Block, Part, Run

SCATTERED: Final = 2**22  # units of blocks with gaps that are compared one by one


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file: its shape (`UNKNOWN` where it stays open) and its boxes, with or without moves."""

    key: yaml.Node
    shape: tuple[int, ...]
    boxes: tuple[Box, ...]
    optional: bool = False  # weights may lack it

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The boxes that something moves in."""
        return tuple(box.block for box in self.boxes if box.block.moves)

    def axes_of(self, tensor: str, name: str) -> dict[Axis, None]:
        """The axes on which ``name`` stands, in order."""
        return {
            Axis(tensor, axis, Part(box.block.runs[axis], (box.block.factor_of(dim),))): None
            for box in self.boxes
            for dim, known in enumerate(box.names)
            if known is not None and known.text == name
            for axis in [box.block.axis_of(dim)]
        }


@dataclass
class TensorReader:
    """Reads the values of the section. ``lengths`` are those of fixed axes that are known from elsewhere."""

    source: Source
    vocabulary: Vocabulary
    lengths: Mapping[tuple[str, int], int]
    _parsed: dict[int, tuple[Node, ...]] = field(default_factory=dict)

    def read(self, name: str, key: yaml.Node, value: yaml.Node, numbers: Mapping[str, Value]) -> Tensor:
        """One tensor, in one text or in a list of blocks.

        Raises:
            SpecError: the notation or a size is wrong.
        """
        if isinstance(value, yaml.ScalarNode):
            shape, boxes = self._boxes(name, value, numbers, range(0))
            return Tensor(key, shape, tuple(boxes))
        shape: tuple[int, ...] = ()
        boxes: list[Box] = []
        if not isinstance(value, yaml.SequenceNode):
            self.source.fail(value, f"the axes of {name} must be text, or a list of blocks")
        for item in value.value:
            fields = self.source.fields(item, "a block", ("rows", "axes"))
            if "axes" not in fields:
                self.source.fail(item, "a block needs its axes: {rows: 0..15, axes: a b}")
            rows = self.source.range(fields["rows"], "'rows'") if "rows" in fields else range(0)
            own, more = self._boxes(name, fields["axes"], numbers, rows)
            shape = self._joined(shape, own, bool(rows), fields["axes"])
            self._check_apart(boxes, more, item)
            boxes += more
        boxes.sort(key=lambda box: [run.offset for run in box.block.runs])
        return Tensor(key, shape, tuple(boxes))

    def _boxes(
        self, name: str, node: yaml.Node, numbers: Mapping[str, Value], rows: range
    ) -> tuple[tuple[int, ...], list[Box]]:
        """Shape and boxes of one text, which describes the whole tensor or some rows of it."""
        text = self.source.text(node, f"the axes of {name}")
        try:
            if id(node) not in self._parsed:
                self._parsed[id(node)] = parse_axes(text)
            axes = [self._sized(fill(axis, numbers), name, k, rows) for k, axis in enumerate(self._parsed[id(node)])]
            if not axes:
                self.source.fail(node, f"{name} needs its axes, such as '_ residual'; leave out what has none")
            shape, boxes = boxes_of(axes, self.vocabulary, rows.start)
        except NotationError as error:
            if error.name is not None and self.source.is_broken(error.name):
                raise FollowUpError from None
            self.source.refuse(node, error)
        if rows and shape[0] != len(rows):
            self.source.fail(node, f"the first axis has {shape[0]} units, but 'rows' has {len(rows)}; they must agree")
        return (rows.stop if rows else shape[0], *shape[1:]), boxes

    def _sized(self, axis: Node, name: str, number: int, rows: range) -> Node:
        """A whole fixed axis with its length, where that is known."""
        if axis != Fixed(None):
            return axis
        return Fixed(len(rows)) if rows and number == 0 else Fixed(self.lengths.get((name, number)))

    def _joined(
        self, shape: tuple[int, ...], own: tuple[int, ...], some_rows: bool, node: yaml.Node
    ) -> tuple[int, ...]:
        """The shape of a tensor from what its blocks say so far, and what one more says."""
        if not shape:
            return own
        if len(shape) != len(own):
            self.source.fail(node, f"this block has {len(own)} axes, the one before {len(shape)}; they must agree")
        for axis, (a, b) in enumerate(zip(shape, own)):
            if a != b and UNKNOWN not in (a, b) and not (some_rows and axis == 0):
                self.source.fail(node, f"axis {axis} has {b} units here and {a} in the blocks before; they must agree")
        return tuple(max(a, b) for a, b in zip(shape, own))

    def _check_apart(self, boxes: Sequence[Box], more: Sequence[Box], node: yaml.Node) -> None:
        for a, b in itertools.product(boxes, more):
            runs = [(r, s) for r, s in zip(a.block.runs, b.block.runs) if UNKNOWN not in (*r.sizes, *s.sizes)]
            if all(_meet(r, s) for r, s in runs):
                self.source.fail(
                    node, f"this block and the one of {a.block.runs[0]} have units in common; cut one back"
                )


def _meet(one: Run, other: Run) -> bool:
    """Have two runs a unit in common?"""
    if one.last < other.offset or other.last < one.offset:
        return False
    if all(run.last - run.offset + 1 == run.length for run in (one, other)):
        return True  # both without gaps
    if max(one.length, other.length) > SCATTERED:
        return True  # nobody writes such a thing on purpose, and it takes too long to see
    return bool(np.intersect1d(one.units(), other.units()).size)
