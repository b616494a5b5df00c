"""What a spec says about one tensor: its blocks as the text of its axes, or as a list of such texts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from graphmerge.spec.boxes import Vocabulary, boxes_of, default_base
from graphmerge.spec.express import Filler, NotExpressibleError, express
from graphmerge.spec.notation import Factor, Fixed, Gap, Name, Node, NotationError, Segment, Sum
from graphmerge.symmetry import UNKNOWN, Block, Run, Symmetry

Row = tuple[str, str]  # rows (empty for all of them), and the text of the axes


@dataclass(frozen=True)
class Named:
    """A block and the name of each of its factors (None for a fixed one)."""

    block: Block
    names: tuple[Name | None, ...]

    def segment(self, axis: int) -> Segment:
        run = self.block.runs[axis]
        first = sum(len(r.sizes) for r in self.block.runs[:axis])
        factors = zip(run.sizes, run.strides, self.names[first : first + len(run.sizes)])
        return Segment(run.offset, tuple(Factor(*f) for f in factors))


class TensorWriter:
    """Writes the tensors of a symmetry. ``lengths`` are those of the axes that a pin holds as a whole."""

    def __init__(self, symmetry: Symmetry, lengths: Mapping[tuple[str, int], int]) -> None:
        self.symmetry = symmetry
        self.vocabulary = Vocabulary(symmetry.by_name, symmetry.sizes)
        self.lengths = lengths
        self.pinned = {
            (axis.tensor, axis.axis, axis.part.run, factor): str(pin.name)
            for pin in symmetry.pinned
            if pin.name is not None
            for axis in pin.axes
            for factor in axis.part.factors
        }

    def write(self, key: str) -> str | list[Row]:
        """The axes of a tensor in one text, or block by block where no text says it.

        Raises:
            NotExpressibleError: a run is not nested as products are, or leaves its tensor.
        """
        named = [self._named(key, block) for block in self.symmetry.layout[key]]
        return self._text(key, named, None) or self._list(key, named)

    def _list(self, key: str, named: Sequence[Named]) -> list[Row]:
        """Blocks by their rows, neighbours together as far as one text says them; else one by one."""
        by_rows: dict[range | None, list[Named]] = {}
        for one in named:
            by_rows.setdefault(_rows(one.block.runs[0]), []).append(one)
        spans = [span for span in by_rows if span is not None]
        if len(spans) < len(by_rows) or any(a.stop > b.start for a, b in itertools.pairwise(spans)):
            return [("", self._single(key, one, None)) for one in named]
        found: list[Row] = []
        while spans:
            span, texts = self._longest(key, spans, by_rows)
            found += [(f"{span.start}..{span.stop - 1}", text) for text in texts]
            spans = [other for other in spans if other.start >= span.stop]
        shape, end = self.symmetry.shapes[key], max(span.stop for span in by_rows if span is not None)
        if end < shape[0]:
            found.append((f"{end}..{shape[0] - 1}", " ".join("_" for _ in shape)))
        return found

    def _longest(
        self, key: str, spans: Sequence[range], by_rows: Mapping[range | None, list[Named]]
    ) -> tuple[range, list[str]]:
        """As many of the first rows as one text says; or the first rows with a text for each block."""
        best: tuple[range, list[str]] | None = None
        for count in range(1, len(spans) + 1):
            span = range(spans[0].start, spans[count - 1].stop)
            text = self._text(key, [one for rows in spans[:count] for one in by_rows[rows]], span)
            if text is None:
                break
            best = span, [text]
        return best or (spans[0], [self._single(key, one, spans[0]) for one in by_rows[spans[0]]])

    def _single(self, key: str, named: Named, rows: range | None) -> str:
        text = self._filled(key, [named], rows, Gap)  # the other blocks are none of its business
        if not text:
            raise NotExpressibleError
        return text

    def _text(self, key: str, named: Sequence[Named], rows: range | None) -> str | None:
        """The axes of these blocks (in these rows) in one text, if there is one that means just them.

        Units in no block are written as fixed, or left out if other axes would then move them.
        """
        return self._filled(key, named, rows, Fixed) or self._filled(key, named, rows, Gap)

    def _filled(self, key: str, named: Sequence[Named], rows: range | None, filler: Filler) -> str | None:
        try:
            axes = [self._axis(key, axis, named, rows, filler) for axis in range(len(self.symmetry.shapes[key]))]
            sized = [Fixed(self._known(key, k, rows)) if axis == Fixed(None) else axis for k, axis in enumerate(axes)]
            boxes = boxes_of(sized, self.vocabulary, rows.start if rows else 0)[1]
        except (NotExpressibleError, NotationError):
            return None
        if [box.block for box in boxes if box.block.moves] != [n.block for n in named]:
            return None
        return " ".join(f"({axis})" if isinstance(axis, Sum) and len(axes) > 1 else str(axis) for axis in axes)

    def _axis(self, key: str, axis: int, named: Sequence[Named], rows: range | None, filler: Filler) -> Node:
        start = rows.start if rows and axis == 0 else 0
        length = len(rows) if rows and axis == 0 else self.symmetry.shapes[key][axis]
        segments = {replace(s, offset=s.offset - start) for s in (n.segment(axis) for n in named)}
        if length == UNKNOWN or segments == {Segment(0, (Factor(length, 1, None),))}:
            open_end = length in (UNKNOWN, self._known(key, axis, rows))
            return Fixed(None if open_end else length)
        return express(list(segments), length, filler)

    def _known(self, key: str, axis: int, rows: range | None) -> int | None:
        """The length that a reader takes for a bare ``_``."""
        return len(rows) if rows and axis == 0 else self.lengths.get((key, axis))

    def _named(self, key: str, block: Block) -> Named:
        """Names from the moves, from the bases that they look up, and from the pins that have a name."""
        names: dict[int, Name] = {}
        for dim in range(sum(len(run.sizes) for run in block.runs)):
            axis = block.axis_of(dim)
            place = (key, axis, block.runs[axis], block.factor_of(dim))
            if place in self.pinned:
                names[dim] = Name(self.pinned[place])
        for move in block.moves:
            for base, dim in zip(self.symmetry[move.group].over, move.over):
                names.setdefault(dim, Name(base))
            for part, dim in enumerate(move.dims):
                size = block.runs[block.axis_of(dim)].sizes[block.factor_of(dim)]
                names[dim] = Name(move.group, (part, size) if len(move.dims) > 1 else None)
        for move in block.moves:
            at = self._at(block, names, move.dims[0], self.symmetry[move.group].over, move.over)
            names[move.dims[0]] = replace(names[move.dims[0]], at=at)
        count = sum(len(run.sizes) for run in block.runs)
        return Named(block, tuple(names.get(dim) for dim in range(count)))

    def _at(
        self, block: Block, names: Mapping[int, Name], dim: int, over: Sequence[str], dims: Sequence[int]
    ) -> tuple[int, ...]:
        """Which factors of its bases a move looks up, where a reader would not take them by itself."""
        at, default = [], True
        for base, meant in zip(over, dims):
            places = [d for d in sorted(names) if names[d].text == base and names[d].part is None]
            try:
                default = default and default_base(block, places, dim, names[dim]) == meant
            except NotationError:
                default = False
            at.append(places.index(meant) + 1)
        return () if default else tuple(at)


def _rows(run: Run) -> range | None:
    """The rows of a run if they are known and follow each other."""
    if UNKNOWN in run.sizes:
        return None
    units = run.units().reshape(-1)
    contiguous = int(units[-1]) - run.offset + 1 == units.size
    return range(run.offset, run.offset + run.length) if contiguous else None
