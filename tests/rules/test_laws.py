"""`rules/laws.py`, word by word: each op commutes with the maps that its law claims, on random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from graphmerge.algebra import Equation, Term, Window
from graphmerge.algebra.equation import length_of, letter_of
from tests.rules.calls import Run, Values, run
from tests.rules.examples import EXAMPLES, Example

Maps = dict[int, torch.Tensor]  # for each term that has the letter, a matrix along it
Maker = Callable[[int, torch.Generator], torch.Tensor]


def invertible(n: int, g: torch.Generator) -> torch.Tensor:
    return torch.randn(n, n, dtype=torch.float64, generator=g) + 2 * torch.eye(n, dtype=torch.float64)


def orthogonal(n: int, g: torch.Generator) -> torch.Tensor:
    return torch.linalg.qr(invertible(n, g)).Q


def keeping_ones(make: Maker) -> Maker:
    """Acts on what is orthogonal to the vector of ones."""

    def made(n: int, g: torch.Generator) -> torch.Tensor:
        ones = torch.full((n, 1), n**-0.5, dtype=torch.float64)
        basis = torch.linalg.qr(torch.cat([ones, invertible(n, g)[:, 1:]], 1)).Q
        inner = torch.block_diag(torch.ones(1, 1, dtype=torch.float64), make(n - 1, g))
        return basis @ inner @ basis.T

    return made


def scales(n: int, g: torch.Generator) -> torch.Tensor:
    return torch.diag(0.5 + torch.rand(n, dtype=torch.float64, generator=g))


def signs(n: int, g: torch.Generator) -> torch.Tensor:
    return torch.diag(2.0 * torch.randint(2, (n,), generator=g).to(torch.float64) - 1)


def claims(equation: Equation, letter: str, g: torch.Generator) -> Iterator[Maps]:
    """Maps along one letter that the law promises to commute with."""
    n, law = equation.sizes[letter], equation.law
    having = [k for k, t in enumerate(equation.terms) if any(letter_of(i) == letter for a in t.axes for i in a)]
    having = [k for k in having if equation.terms[k].tensor is not None]
    out = [k for k in having if _is_out(equation, k)]
    read = [k for k in having if k not in out]
    factors = [k for k in read if k != equation.added]
    if law == "attention":
        law = {"d": "product", "e": "linear"}.get(letter, "pointwise")
    if law == "total" and not out:
        yield dict.fromkeys(read, keeping_ones(invertible)(n, g))
    elif (law in ("linear", "total") and read and out) or (law == "sum" and len(having) == len(equation.terms)):
        yield dict.fromkeys(having, invertible(n, g))
    elif law in ("product", "gate", "quotient") and len(factors) == 1 and out and (law != "quotient" or 1 not in read):
        spread = equation.added not in (None, *read) and not _is_out(equation, equation.added)
        yield dict.fromkeys(having, (keeping_ones(invertible) if spread else invertible)(n, g))
    elif law == "product" and len(factors) == 2 and not out:
        there = invertible(n, g)
        yield {factors[0]: there, factors[1]: torch.linalg.inv(there).T}
    elif law == "gate" and len(factors) == 2 and out:
        a, b = scales(n, g) @ signs(n, g), scales(n, g) @ signs(n, g)
        yield {factors[0]: a, factors[1]: b, out[0]: a @ b}
    elif law in ("odd", "positive"):
        yield dict.fromkeys(having, (signs if law == "odd" else scales)(n, g))
    elif law == "square":
        a = scales(n, g) @ signs(n, g)
        yield {read[0]: a, out[0]: a @ a}
    elif law in ("rms", "layer") and not _is_kept(equation, letter):
        free = (keeping_ones(orthogonal) if law == "layer" else orthogonal)(n, g)
        if len(read) == 1:
            yield {read[0]: free, out[0]: free}
        elif law == "rms":
            yield dict.fromkeys((read[0], out[0]), signs(n, g))


def _is_out(equation: Equation, number: int | None) -> bool:
    return number is not None and str(equation.terms[number].tensor).startswith("out")


def _is_kept(equation: Equation, letter: str) -> bool:
    """Is it an axis that a norm does not reduce?"""
    return any(t.tensor is None and any(letter in a for a in t.axes) for t in equation.terms)


def mapped(tensor: torch.Tensor, term: Term, letter: str, matrix: torch.Tensor, equation: Equation) -> torch.Tensor:
    """The matrix applied along the factors that the letter is, in the box that the windows of the term cut out."""
    items = [item for axis in term.axes for item in axis]
    sizes = equation.sizes
    parts = tensor.reshape([length_of(item, sizes) for item in items]).clone()
    box = parts
    for dim, item in enumerate(items):
        if isinstance(item, Window):
            box = box.narrow(dim, item.start, sizes[item.letter])
    for dim, item in enumerate(items):
        if letter_of(item) == letter:
            box.copy_(torch.tensordot(box, matrix.to(tensor.dtype), dims=([dim], [1])).movedim(-1, dim))
    return parts.reshape(tensor.shape)


def gap(call: Run, equation: Equation, letter: str, maps: Maps) -> float:
    """Largest difference between the op of mapped arguments and its mapped result."""
    values: Values = {**call.values, **call.outputs(call.values)}
    for number, matrix in maps.items():
        term = equation.terms[number]
        values[str(term.tensor)] = mapped(values[str(term.tensor)], term, letter, matrix, equation)
    after = call.outputs({name: values[name] for name in call.values})
    return max((float((values[k] - after[k]).abs().max()) for k in after), default=0.0)


def index_letters(call: Run, equation: Equation) -> set[str]:
    """Letters of integer arguments: their entries can be put in another order, nothing else."""
    integers = [t for t in equation.terms if t.tensor in call.values and not _is_float(call.values[str(t.tensor)])]
    return {letter_of(i) for t in integers for a in t.axes for i in a}


def _is_float(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


LAWFUL = [e for e in EXAMPLES if {q.law for q in run(e).derived().equations} - {"pointwise"}]


@pytest.mark.parametrize("example", LAWFUL, ids=str)
def test_commutes(example: Example) -> None:
    call = run(example)
    g = torch.Generator().manual_seed(0)
    for equation in call.derived().equations:
        for letter, size in equation.sizes.items():
            if size < 2 or letter in equation.pins or letter in index_letters(call, equation):
                continue
            for maps in claims(equation, letter, g):
                allowed = 1e-4 if torch.float32 in example.args else 1e-9
                assert gap(call, equation, letter, maps) < allowed, (equation.law, letter)
