"""Systems written by hand, their symmetry, and the symmetry as short text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_lowercase

import numpy as np

from graphmerge.algebra import Equation, SolvedBox, System, Tensor, Window, equation, solve
from graphmerge.algebra.equation import letter_of
from graphmerge.symmetry import Block, Group, Move, Pin, Run, Symmetry, members_of

Shape = tuple[int, ...]
WINDOW = re.compile(r"\[(\d+)\+(\w+)\+(\d+)\]")


def system_of(
    parameters: Mapping[str, Shape],
    equations: Sequence[str],
    activations: Mapping[str, Shape] | None = None,
    constants: Mapping[str, np.ndarray] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> System:
    """Equations as text, with the names of their tensors behind a colon: ``b i, o i -> b o: x w y``.

    ``[2+x+4]`` is a window: x with 2 units before it and 4 behind.
    """
    system = System()
    for name, shape in parameters.items():
        system.add(Tensor(name, shape, "parameter"))
    for name, shape in (activations or {}).items():
        system.add(Tensor(name, shape, "activation"))
    for name, value in (constants or {}).items():
        system.add(Tensor(name, value.shape, "constant", value))
    for line in equations:
        text, _, names = line.partition(":")
        system.equations.append(_equation(text, [system.tensors[t] for t in names.split()], sizes or {}))
    return system


def _equation(text: str, tensors: list[Tensor], sizes: Mapping[str, int]) -> Equation:
    """Written without its windows first; then the windows are put in."""
    patterns = text.partition("|")[0].replace("->", ",").split(",")
    shapes, windowed = [], {}
    for number, (pattern, tensor) in enumerate(zip(patterns, tensors, strict=True)):
        shape = list(tensor.shape)
        for axis, token in enumerate(re.findall(r"\(.*?\)|\S+", pattern)):
            if WINDOW.search(token):
                items = tuple(_item(word, shape[axis], sizes) for word in token.strip("()").split())
                lengths = dict(sizes) | {
                    i.letter: i.total - i.start - _after(token) for i in items if isinstance(i, Window)
                }
                shape[axis] = math.prod(lengths[letter_of(i)] for i in items)
                windowed[number, axis] = items
        shapes.append(tuple(shape))
    plain = equation(WINDOW.sub(r"\2", text).strip(), [t.name for t in tensors], shapes, sizes)
    terms = [
        replace(term, axes=tuple(windowed.get((number, axis), items) for axis, items in enumerate(term.axes)))
        for number, term in enumerate(plain.terms)
    ]
    used = {letter_of(item) for term in terms for axis in term.axes for item in axis}
    return replace(plain, terms=tuple(terms), sizes={**plain.sizes, **{x: n for x, n in sizes.items() if x in used}})


def _item(word: str, whole: int, sizes: Mapping[str, int]) -> str | Window:
    """A letter, or a window of it; alone on its axis, a window's letter is what is left of the whole."""
    if not (found := WINDOW.fullmatch(word)):
        return word
    before, letter, after = int(found[1]), found[2], int(found[3])
    return Window(letter, before, before + sizes[letter] + after if letter in sizes else whole)


def _after(token: str) -> int:
    return int(WINDOW.search(token)[3])  # type: ignore[index]


def symmetry_of(system: System) -> Symmetry:
    """Solved, groups named ``a``, ``b`` ... in the order in which the tensors carry them; pinned leaves ``_7``."""
    solution = solve(system)
    boxes = {t: sorted(solution.boxes[t], key=lambda box: box.offsets) for t in system.tensors if t in solution.boxes}
    order = dict.fromkeys(f.leaf for found in boxes.values() for box in found for f in box.factors)
    free = [n for n in order if solution.leaves[n].pinned is None and solution.leaves[n].size > 1]
    names = dict(zip(free, (*ascii_lowercase, *(x + y for x in ascii_lowercase for y in ascii_lowercase))))
    bases = {b for n in free for b in solution.leaves[n].over if solution.leaves[b].pinned is not None}
    layout = {
        t: blocks for t, found in boxes.items() if (blocks := tuple(b for x in found if (b := _block(x, names)).moves))
    }
    names |= {n: f"_{n}" for n in bases}
    members = members_of(layout)
    groups = tuple(
        Group(names[n], solution.leaves[n].size, tuple(names[b] for b in solution.leaves[n].over), members[names[n]])
        for n in free
    )
    pins = tuple(Pin((), "pinned", names[n], solution.leaves[n].size) for n in bases)
    return Symmetry(groups, pins, layout, {t: system.tensors[t].shape for t in layout})


def _block(box: SolvedBox, names: Mapping[int, str]) -> Block:
    factors = [f for f in box.factors if f.size > 1]
    moves = []
    for dim, factor in enumerate(factors):
        if factor.leaf in names:
            dims = (dim,) if factor.inner is None else (dim, factors.index(factor.inner))
            moves.append(Move(names[factor.leaf], dims, tuple(factors.index(f) for f in factor.over)))
    own = [[f for f in factors if f.axis == axis] for axis in range(len(box.offsets))]
    runs = (Run(at, tuple(f.size for f in fs), tuple(f.stride for f in fs)) for at, fs in zip(box.offsets, own))
    return Block(tuple(runs), tuple(moves))


def groups_text(symmetry: Symmetry) -> dict[str, str]:
    """``{"a": "2", "b": "3 over a"}``; a pinned base is ``_``."""
    found = {}
    for group in sorted(symmetry.groups, key=lambda g: (len(g.name), g.name)):
        bases = [b if b in symmetry.by_name else "_" for b in group.over]
        found[group.name] = f"{group.size}" + (f" over {' '.join(sorted(bases))}" if bases else "")
    return found


def tensors_text(symmetry: Symmetry) -> dict[str, str]:
    """``{"w": "(a b) c; @6(a b) c"}``: the blocks of each tensor, each with its axes; ``_`` does not move."""
    return {key: "; ".join(_block_text(block) for block in blocks) for key, blocks in symmetry.layout.items()}


def _block_text(block: Block) -> str:
    names = {dim: move.group for move in block.moves for dim in move.dims}
    first, axes = 0, []
    for run in block.runs:
        axes.append(_run_text(run, [names.get(first + k, "_") for k in range(len(run.sizes))]))
        first += len(run.sizes)
    return " ".join(axes)


def _run_text(run: Run, names: list[str]) -> str:
    shown, inner = [], 1
    for name, size, stride in reversed(list(zip(names, run.sizes, run.strides))):
        shown.append(name if stride == inner else f"{name}*{stride}")  # units that are not neighbours
        inner = size * stride
    text = " ".join(reversed(shown)) or "_"
    return (f"@{run.offset}" if run.offset else "") + (f"({text})" if len(shown) > 1 else text)
