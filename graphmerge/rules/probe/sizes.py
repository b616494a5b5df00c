"""Other sizes than the traced ones that an op takes: small, and all distinct where it does not need them equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from graphmerge.rules.probe.subject import Slot

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
Axis = tuple[int, int]  # slot and dim
Accepts = Callable[[Shapes], bool]

PALETTES = ((5, 7, 6, 9, 11, 8, 13, 10, 14, 15, 17, 16), (6, 4, 9, 5, 8, 7, 10, 12, 11, 14, 13, 18))
MULTIPLES = (1, 2, 3, 4, 8)  # of a size, for ops that cut an axis into equal parts


class _Sizing:
    """A size for each class of axes; axes of one class need the same size, as far as is known."""

    def __init__(self, slots: Sequence[Slot], accepts: Accepts) -> None:
        self.slots = slots
        self.accepts = accepts
        axes = [(k, d) for k, slot in enumerate(slots) if not slot.fixed for d, n in enumerate(slot.shape) if n > 1]
        kept = {n for slot in slots if slot.fixed for n in slot.shape}
        values = sorted({n for k, d in axes if (n := slots[k].shape[d]) not in kept}, reverse=True)
        self.classes = [[(k, d) for k, d in axes if slots[k].shape[d] == n] for n in values]
        self.sizes = values

    def shapes(self, sizes: Sequence[int]) -> Shapes:
        made = [list(slot.shape) for slot in self.slots]
        for axes, size in zip(self.classes, sizes):
            for k, d in axes:
                made[k][d] = size
        return tuple(map(tuple, made))

    def resize(self, palette: Iterable[int]) -> None:
        """All classes at once, or else one after the other, each to the first size that the op takes."""
        wanted = [n for n, _ in zip(palette, self.sizes)]
        if len(wanted) == len(self.sizes) and self.accepts(self.shapes(wanted)):
            self.sizes = wanted
            return
        for number, base in enumerate(wanted):
            for size in (m * base for m in MULTIPLES):
                trial = [*self.sizes[:number], size, *self.sizes[number + 1 :]]
                if size <= max(2 * self.sizes[number], 16) and self.accepts(self.shapes(trial)):
                    self.sizes = trial
                    break

    def split(self, palette: Sequence[int]) -> None:
        """Give each axis a size of its own if the op takes it."""
        for number in range(len(self.classes)):
            for axis in list(self.classes[number]):
                rest = [a for a in self.classes[number] if a != axis]
                fresh = next((n for n in palette if n not in self.sizes), None)
                if not rest or fresh is None:
                    break
                before = self.classes, self.sizes
                self.classes = [*self.classes[:number], rest, *self.classes[number + 1 :], [axis]]
                self.sizes = [*self.sizes, fresh]
                if not self.accepts(self.shapes(self.sizes)):
                    self.classes, self.sizes = before


def small_sizes(slots: Sequence[Slot], accepts: Accepts) -> list[Shapes]:
    """Shapes of the slots at sizes other than the traced ones: two of them, or fewer if the op takes no others."""
    sizing = _Sizing(slots, accepts)
    found = []
    for palette in PALETTES:
        sizing.resize(palette)
        sizing.split(palette)
        found.append(sizing.shapes(sizing.sizes))
    return list(dict.fromkeys(found))
