"""Systems of equations written by hand, with what must come out: whole layers, and groups over groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.algebra.solved import Shape


@dataclass(frozen=True)
class Case:
    """Shapes of parameters (listed in the result) and activations, equations, and what must come out.

    ``groups`` says size and bases of each group, ``tensors`` the blocks of each tensor; what is not there stays put.
    """

    parameters: dict[str, Shape]
    activations: dict[str, Shape]
    equations: tuple[str, ...]
    groups: dict[str, str]
    tensors: dict[str, str]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


CASES: dict[str, Case] = {}


def case(
    name: str, parameters: dict[str, Shape], activations: dict[str, Shape], *equations: str, **expected: Any
) -> None:
    assert name not in CASES
    CASES[name] = Case(parameters, activations, equations, **expected)


def of_shape(shape: Shape, names: str) -> dict[str, Shape]:
    return dict.fromkeys(names.split(), shape)


case(
    "plain MLP",
    {"up": (4, 4), "b": (4,), "down": (4, 4)},
    of_shape((2, 4), "x h y"),
    "t! i!: x",
    "t i, f i, f -> t f: x up b h",
    "t f, o f -> t o: h down y",
    "t! o!: y",
    groups={"a": "4"},
    tensors={"up": "a _", "b": "a", "down": "_ a"},
)
case(
    "residual: all that is added is one group",
    {"embed": (7, 3), "up": (4, 3), "down": (3, 4), "head": (7, 3)},
    {**of_shape((2, 3), "x d r"), "h": (2, 4), "y": (2, 7)},
    "v! d, t -> t d: embed ids x",
    "t d, f d -> t f: x up h",
    "t f, d f -> t d: h down d",
    "t d, t d -> t d: x d r",
    "t d, v d -> t v: r head y",
    "t! v!: y",
    constants={"ids": np.array([0, 1])},
    groups={"a": "3", "b": "4"},
    tensors={"embed": "_ a", "up": "b a", "down": "a b", "head": "_ a"},
)

HEADS = {
    **of_shape((5, 4), "x y"),
    **of_shape((5, 6), "fq fk fv fz"),
    **of_shape((2, 5, 3), "hq hk hv hz"),
    **of_shape((2, 5, 5), "s p"),
}
ATTEND = ("h i c, h j c -> h i j: hq hk s", "h i j -> h i j | h i: s p", "h i j, h j c -> h i c: p hv hz")
ENDS = ("t! d!: x", "t! d!: y")

case(
    "heads split from one axis: inside, each head may be permuted on its own",
    {"q": (6, 4), "k": (6, 4), "v": (6, 4), "o": (4, 6)},
    HEADS,
    *(f"t d, f d -> t f: x {n} f{n}" for n in "qkv"),
    *(f"t (h c) -> h t c: f{n} h{n}" for n in "qkv"),
    *ATTEND,
    "h t c -> t (h c): hz fz",
    "t f, d f -> t d: fz o y",
    *ENDS,
    sizes={"h": 2, "c": 3},
    groups={"a": "2", "b": "3 over a", "c": "3 over a"},
    tensors={"q": "(a b) _", "k": "(a b) _", "v": "(a c) _", "o": "_ (a c)"},
)
case(
    "fused qkv through slices: each part its own rows, one set of columns",
    {"g": (4,), "w": (18, 4), "o": (4, 6)},
    {**HEADS, "n": (5, 4), "f": (5, 18), "r": (5, 4), "z": (5,)},
    "t d, d -> t d: x g n",
    "t d, f d -> t f: n w f",
    "t [0+f+12] -> t f: f fq",
    "t [6+f+6] -> t f: f fk",
    "t [12+f+0] -> t f: f fv",
    *(f"t (h c) -> h t c: f{n} h{n}" for n in "qkv"),
    *ATTEND,
    "h t c -> t (h c): hz fz",
    "t f, d f -> t d: fz o y",
    "t d, t d -> t d: x y r",
    "t d -> t: r z",
    "t! d: x",
    sizes={"h": 2, "c": 3},
    groups={"a": "4", "b": "2", "c": "3 over b", "d": "3 over b"},
    tensors={"g": "a", "w": "(b c) a; @6(b c) a; @12(b d) a", "o": "a (b d)"},
)
case(
    "gated MLP from one projection: f + f is one f",
    {"w": (8, 3), "down": (3, 4)},
    {"x": (2, 3), "h": (2, 8), **of_shape((2, 4), "g u p"), "y": (2, 3)},
    "t! d!: x",
    "t d, f d -> t f: x w h",
    "t [0+f+4] -> t f: h g",
    "t [4+f+0] -> t f: h u",
    "t f, t f -> t f: g u p",
    "t f, d f -> t d: p down y",
    "t! d!: y",
    groups={"a": "4"},
    tensors={"w": "a _; @4a _", "down": "_ a"},
)
case(
    "grouped queries: query heads over key heads, v over key heads",
    {"q": (12, 4), "k": (6, 4), "v": (6, 4), "o": (4, 12)},
    {
        **of_shape((5, 4), "x y"),
        **of_shape((5, 12), "fq fz"),
        **of_shape((5, 6), "fk fv"),
        **of_shape((2, 2, 5, 3), "hq hz"),
        **of_shape((2, 5, 3), "hk hv"),
        **of_shape((2, 2, 5, 5), "s p"),
    },
    *(f"t d, f d -> t f: x {n} f{n}" for n in "qkv"),
    "t (k g c) -> k g t c: fq hq",
    *(f"t (k c) -> k t c: f{n} h{n}" for n in "kv"),
    "k g i c, k j c -> k g i j: hq hk s",
    "k g i j -> k g i j | k g i: s p",
    "k g i j, k j c -> k g i c: p hv hz",
    "k g t c -> t (k g c): hz fz",
    "t f, d f -> t d: fz o y",
    *ENDS,
    sizes={"k": 2, "g": 2, "c": 3},
    groups={"a": "2", "b": "2 over a", "c": "3 over a", "d": "3 over a"},
    tensors={"q": "(a b c) _", "k": "(a c) _", "v": "(a d) _", "o": "_ (a b d)"},
)
case(
    "a gain shared by all heads: inside, one permutation for all of them (and nothing else keeps a head together)",
    {"w": (6, 4), "g": (3,), "o": (4, 6)},
    {**of_shape((5, 4), "x y"), **of_shape((5, 6), "f n"), **of_shape((5, 2, 3), "h m")},
    "t d, f d -> t f: x w f",
    "t (h c) -> t h c: f h",
    "t h c, c -> t h c: h g m",
    "t h c -> t (h c): m n",
    "t f, d f -> t d: n o y",
    *ENDS,
    sizes={"h": 2, "c": 3},
    groups={"a": "2 over b", "b": "3"},
    tensors={"w": "(a b) _", "g": "b", "o": "_ (a b)"},
)
EXPERTS = (
    {"up": (2, 4, 3), "down": (2, 3, 4), "router": (2, 4)},
    {**of_shape((5, 4), "x y"), "h": (5, 2, 3), "share": (5, 2)},
    "t d, e d f -> t e f: x up h",
    "t d, e d -> t e: x router share",
    "t e f, e f d, t e -> t d: h down share y",
)
case(
    "stacked experts: f over experts",
    *EXPERTS,
    *ENDS,
    groups={"a": "2", "b": "3 over a"},
    tensors={"up": "a _ b", "down": "a b _", "router": "a _"},
)
case(
    "stacked experts, pinned: f still over them",
    *EXPERTS,
    *ENDS,
    "t! e!: share",
    groups={"a": "3 over _"},
    tensors={"up": "_ _ a", "down": "_ a _"},
)
case(
    "over relates axes, not leaves: y[h,g,d] = x[h,d] u[g], then y + y transposed",
    {"x": (3, 4), "u": (3,), "v": (3, 3, 4)},
    {**of_shape((3, 3, 4), "y z"), "s": ()},
    "h d, g -> h g d: x u y",
    "h g d, g h d -> h g d: y y z",
    "h g d, h g d: z v",
    groups={"a": "3", "b": "4"},
    tensors={"x": "a b", "u": "a", "v": "a a b"},
)
case(
    "a tensor and itself transposed: d can't follow one of two axes that change places",
    {"p": (3, 3, 4), "u": (3, 3, 4)},
    {"y": (3, 3, 4)},
    "h g d, g h d -> h g d: p p y",
    "h g d, h g d: y u",
    groups={"a": "3 over b", "b": "4"},
    tensors={"p": "a a b", "u": "a a b"},
)
case(
    "without the sum each d still follows its own h",
    {"x": (3, 4), "u": (2,), "w": (3,), "v": (3, 2, 4)},
    {"y": (3, 2, 4)},
    "h d, g, h -> h g d: x u w y",
    "h g d, h g d: y v",
    groups={"a": "3", "b": "4 over a", "c": "2"},
    tensors={"x": "a b", "u": "c", "w": "a", "v": "a c b"},
)
case(
    "b h d, b g d -> b h g from one tensor: each term has heads, d is over neither",
    {"x": (5, 3, 4), "u": (5, 3, 3)},
    {"s": (5, 3, 3)},
    "b! h d: x",
    "b h d, b g d -> b h g: x x s",
    "b h g, b h g: s u",
    groups={"a": "3 over _", "b": "4 over _"},
    tensors={"x": "_ a b", "u": "_ a a"},
)
case(
    "after a softmax along h nothing is over h",
    {"w": (3, 4), "u": (3, 4)},
    {"p": (3, 4)},
    "h d -> h d | d: w p",
    "h d, h d: p u",
    groups={"a": "3 over b", "b": "4"},
    tensors={"w": "a b", "u": "a b"},
)
case(
    "without it the two are one group of pairs",
    {"w": (3, 4), "u": (3, 4)},
    {},
    "h d, h d: w u",
    groups={"a": "12"},
    tensors={"w": "a a", "u": "a a"},
)
case(
    "a split that nothing uses is undone",
    {"w": (6, 3), "o": (3, 6)},
    {**of_shape((2, 3), "x y"), **of_shape((2, 6), "f g"), "h": (2, 2, 3)},
    "t d, f d -> t f: x w f",
    "t (h c) -> t h c: f h",
    "t h c -> t (h c): h g",
    "t f, d f -> t d: g o y",
    *ENDS,
    sizes={"h": 2, "c": 3},
    groups={"a": "6"},
    tensors={"w": "a _", "o": "_ a"},
)
