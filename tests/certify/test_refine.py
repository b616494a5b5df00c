"""The bound from colours: never below the exact count, equal where cells are orbits, above where they are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from graphmerge.certify import count, draw
from graphmerge.certify.coloured import Coloured, log_order
from graphmerge.certify.refine import Cells, log_bound
from graphmerge.trace.defaults import default_inputs
from tests.families import FAMILIES


def graph(colours: list[int], edges: list[tuple[int, int]]) -> Coloured:
    """Every vertex counts as an entry."""
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    return Coloured(np.array(colours), pairs, {n: n for n in range(len(colours))})


def cycle(start: int, length: int) -> list[tuple[int, int]]:
    return [(start + k, start + (k + 1) % length) for k in range(length)]


@pytest.mark.parametrize(
    ("colours", "edges", "order"),
    [
        pytest.param([0] * 5, [], 120, id="nothing tells five vertices apart"),
        pytest.param([0, 0, 0, 1, 1], [], 12, id="colours do"),
        pytest.param([0] * 7, cycle(0, 7), 14, id="a ring turns and flips"),
        pytest.param([0] * 6, [(k, k + 1) for k in range(5)], 2, id="a path flips"),
        pytest.param([0] * 9, [(k // 2, k + 1) for k in range(6)], 16, id="a tree of three levels, and two apart"),
        pytest.param([0] * 8, cycle(0, 4) + cycle(4, 4) + [(k, k + 4) for k in range(4)], 48, id="a cube"),
    ],
)
def test_it_is_the_order_where_cells_are_orbits(colours, edges, order) -> None:
    drawn = graph(colours, edges)
    assert log_bound(drawn) == pytest.approx(math.log(order))
    assert log_order(drawn) == pytest.approx(math.log(order))


@pytest.mark.parametrize("seed", range(40))
def test_it_is_never_less_than_the_order(seed: int) -> None:
    """Random graphs with few edges have twins; copies of one of them can trade places."""
    draw_ = np.random.default_rng(seed)
    size, copies = int(draw_.integers(3, 9)), int(draw_.integers(1, 4))
    colours = draw_.integers(0, 2, size).tolist()
    edges = [(a, b) for a in range(size) for b in range(a) if draw_.random() < 0.3]
    every = [(a + k * size, b + k * size) for k in range(copies) for a, b in edges]
    drawn = graph(colours * copies, every)
    shuffled = draw_.permutation(size * copies)
    assert log_bound(drawn) >= log_order(drawn) - 1e-9
    again = graph([colours[n % size] for n in np.argsort(shuffled)], [tuple(shuffled[list(e)]) for e in every])
    assert log_order(again) == pytest.approx(log_order(drawn))
    assert log_bound(again) >= log_order(drawn) - 1e-9


def test_it_is_more_where_colours_see_too_little() -> None:
    """A ring of six and two of three: every vertex has two neighbours like itself, and no automorphism joins them."""
    drawn = graph([0] * 12, cycle(0, 6) + cycle(6, 3) + cycle(9, 3))
    assert log_bound(drawn) > log_order(drawn) + 0.1


def test_cells_are_as_coarse_as_they_can_be() -> None:
    """Vertices of one colour have equally many neighbours of each colour, and nothing else is told apart."""
    edges = [*cycle(0, 4), (0, 4), (2, 5), (4, 6), (5, 7)]
    cells = Cells(graph([0] * 8, edges))
    found = [cells.colour_of(v) for v in range(8)]
    kinds = {frozenset(v for v in range(8) if found[v] == c) for c in found}
    assert kinds == {frozenset(pair) for pair in ((0, 2), (1, 3), (4, 5), (6, 7))}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_have_the_order_that_it_says(name: str) -> None:
    model = FAMILIES[name].model()
    inputs = default_inputs(model)
    inputs = inputs.resized(3) if inputs.length else inputs
    drawn = draw(model, inputs.kwargs or inputs.args, None)
    assert log_bound(drawn.graph) == pytest.approx(log_order(drawn.graph), abs=1e-6)


def test_a_broken_tie_shows() -> None:
    """One entry held: what is left is the stabiliser of its row and its column."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 4, bias=False), torch.nn.ReLU(), torch.nn.Linear(4, 2, bias=False))
    drawn = draw(model, (torch.ones(1, 2),), None)
    assert log_bound(drawn.graph) == pytest.approx(count(model, (torch.ones(1, 2),), None).log_order)
    cells = Cells(drawn.graph)
    first = drawn.graph.entries[int(drawn.tensors["0.weight"][0, 0])]
    assert cells.fix_all([first]) == pytest.approx(math.log(4))
    rest = (drawn.graph.entries[n] for n in drawn.tensors["0.weight"].flatten().tolist())
    assert cells.fix_all(rest) == pytest.approx(math.log(6))
