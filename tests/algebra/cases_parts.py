"""More systems: constants, cuts and what becomes whole again, conflicts, parts that nothing reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.algebra.cases import ENDS, case, of_shape

for name, value, groups, tensors in (
    ("the outer", np.array([[1.0, 1.0], [2.0, 2.0]]), {"a": "2 over _"}, {"w": "(_ a)", "u": "(_ a)"}),
    ("the inner", np.array([[1.0, 2.0], [1.0, 2.0]]), {"a": "2 over _"}, {"w": "(a _)", "u": "(a _)"}),
    ("no", np.array([[1.0, 1.0], [1.0, 1.0]]), {"a": "4"}, {"w": "a", "u": "a"}),
):
    case(
        f"a constant that varies along {name} factor",
        {"w": (4,), "u": (4,)},
        of_shape((2, 2), "h p"),
        "(o i) -> o i: w h",
        "o i, o i -> o i: h c p",
        "o i -> (o i): p u",
        constants={"c": value},
        sizes={"o": 2, "i": 2},
        groups=groups,
        tensors=tensors,
    )
case(
    "rotary halves cut v too, where q, k and v are one projection; coarsening gives v back whole",
    {"w": (12, 3), "o": (3, 4)},
    {
        **of_shape((5, 3), "x y"),
        "f": (5, 12),
        "three": (3, 5, 4),
        **of_shape((5, 4), "q k v rq rk sq sk tq tk z"),
        **of_shape((5, 2), "q1 q2 k1 k2"),
        **of_shape((5, 5), "s p"),
    },
    "t d, f d -> t f: x w f",
    "t (m c) -> m t c: f three",
    *(f"[{n}+u+{2 - n}] t c -> t c: three {name}" for n, name in enumerate("qkv")),
    *(f"t [0+c+2] -> t c: {n} {n}1" for n in "qk"),
    *(f"t [2+c+0] -> t c: {n} {n}2" for n in "qk"),
    *(f"t [0+c+2] -> t c: r{n} {n}2" for n in "qk"),
    *(f"t [2+c+0] -> t c: r{n} {n}1" for n in "qk"),
    *(f"t c, t c -> t c: r{n} sin s{n}" for n in "qk"),
    *(f"t c, t c, t c -> t c: {n} cos s{n} t{n}" for n in "qk"),
    "i c, j c -> i j: tq tk s",
    "i j -> i j | i: s p",
    "i j, j c -> i c: p v z",
    "t c, d c -> t d: z o y",
    *ENDS,
    constants={"sin": np.tile(np.arange(10.0).reshape(5, 2), 2), "cos": np.tile(np.arange(10.0).reshape(5, 2), 2)},
    sizes={"m": 3},
    groups={"a": "4"},
    tensors={"w": "@8a _", "o": "_ a"},
)

# Row 0 of w is cut in halves, which are treated differently; row 1 shares the structure, but not the treatment.
CUT = (
    {"w": (2, 4), "g": (2,), "u": (4,)},
    {**of_shape((4,), "r0 r1 y"), **of_shape((2,), "a b c")},
    "[0+m+1] f -> f: w r0",
    "[1+m+0] f -> f: w r1",
    "[0+h+2] -> h: r0 a",
    "[2+h+0] -> h: r0 b",
    "h, h -> h: a g c",
    "h!: b",
)
WHOLE: dict[str, Any] = {"groups": {"a": "2", "b": "4"}, "tensors": {"w": "_ a; @1_ b", "g": "a", "u": "b"}}
HALVED: dict[str, Any] = {
    "groups": {"a": "2", "b": "2", "c": "2"},
    "tensors": {"w": "_ a; @1_ b; @1_ @2c", "g": "a", "u": "b; @2c"},
}
USED = ("f, f -> f: r1 c1 y", "f, f: y u")
case("a cut that comes from elsewhere is undone", *CUT, "f, f: r1 u", **WHOLE)
case("so it is where a constant is alike on both sides", *CUT, *USED, constants={"c1": np.ones(4)}, **WHOLE)
case(
    "a constant that differs across the cut keeps it",
    *CUT,
    *USED,
    constants={"c1": np.array([1.0, 1.0, 2.0, 2.0])},
    **HALVED,
)
case(
    "a slice at the cut keeps it",
    *CUT,
    "f, f: r1 u",
    "[0+h+2] -> h: r1 c",
    groups={"a": "2", "b": "2"},
    tensors={"w": "_ a; @1_ a; @1_ @2b", "g": "a", "u": "a; @2b"},
)
case(
    "a constant that varies within a half pins that half",
    *CUT,
    *USED,
    constants={"c1": np.array([1.0, 1.0, 2.0, 3.0])},
    groups={"a": "2", "b": "2"},
    tensors={"w": "_ a; @1_ b", "g": "a", "u": "b"},
)
case(
    "slices joined again as they were: three of them still follow one another, the single one is lost",
    {"p": (4,), "u": (4,)},
    {**of_shape((4,), "q"), "s": (3,), "t": (1,)},
    "[0+a+1] -> a: p s",
    "[3+b+0] -> b: p t",
    "[0+a+1] -> a: q s",
    "[3+b+0] -> b: q t",
    "f, f: q u",
    groups={"a": "3"},
    tensors={"p": "a", "u": "a"},
)
case(
    "one unit of a flattened axis: the row that it stands in is no longer like the others, in that column",
    {"p": (3, 2)},
    {"f": (6,), "t": (1,)},
    "(r c) -> r c: f p",
    "[4+s+1] -> s: f t",
    sizes={"r": 3, "c": 2},
    groups={"a": "2", "b": "3"},
    tensors={"p": "a _; b @1_"},
)
case(
    "views that share no factors: a conflict pins",
    {"p": (6,), "u": (2, 3), "v": (3, 2)},
    {},
    "(a b) -> a b: p u",
    "(c d) -> c d: p v",
    sizes={"a": 2, "b": 3, "c": 3, "d": 2},
    groups={},
    tensors={},
)
case(
    "a cut through the rows of a view pins the rows, and nothing beside them",
    {"p": (6, 4), "w": (4,)},
    {"u": (2, 3, 4), "s": (2, 4), "z": (4,)},
    "(a b) f -> a b f: p u",
    "[0+c+4] f -> c f: p s",
    "f -> f: w z",
    sizes={"a": 2, "b": 3},
    groups={"a": "4", "b": "4"},
    tensors={"p": "(_ _) a", "w": "b"},
)
case(
    "a part of a table that nothing reads stays put; its columns go with the rest",
    {"table": (6, 3), "g": (4,), "h": (3,)},
    {"part": (4, 3)},
    "[0+v+2] d -> v d: table part",
    "v d, v, d: part g h",
    groups={"a": "4", "b": "3"},
    tensors={"table": "a b; @4_ b", "g": "a", "h": "b"},
)
case(
    "a parameter that nothing reads stays put",
    {"idle": (3, 4), "w": (4,)},
    {},
    "f: w",
    groups={"a": "4"},
    tensors={"w": "a"},
)
case(
    "three on one tensor, each over the others: no cycle is left (and not all of the freedom)",
    {"p": (2, 3, 4), "u": (2, 3, 4)},
    {},
    "a b c, a b c: p u",
    groups={"a": "2 over b c", "b": "3 over c", "c": "4"},
    tensors={"p": "a b c", "u": "a b c"},
)
case(
    "three factors of one axis that nothing splits are one",
    {"p": (12,), "u": (12,)},
    {"h": (2, 3, 2), "k": (2, 3, 2)},
    "(a b c) -> a b c: p h",
    "a b c -> a b c: h k",
    "a b c -> (a b c): k u",
    sizes={"a": 2, "b": 3, "c": 2},
    groups={"a": "12"},
    tensors={"p": "a", "u": "a"},
)
case(
    "a base that is over another: what is over the inner is over the outer",
    {"w": (2, 2, 3), "g": (2, 2), "m": (2,), "u": (2, 2, 3)},
    {"y": (2, 2, 3)},
    "k g c, k g, k -> k g c: w g m y",
    "k g c, k g c: y u",
    groups={"a": "2", "b": "2 over a", "c": "3 over a b"},
    tensors={"w": "a b c", "g": "a b", "m": "a", "u": "a b c"},
)
case(
    "an axis of size 1 broadcasts and moves nothing",
    {"w": (1, 4), "g": (3, 4), "u": (3, 4)},
    {"y": (3, 4)},
    "h d, h d -> h d: w g y",
    "h d -> h d | h: y u",
    groups={"a": "4", "b": "3"},
    tensors={"w": "_ a", "g": "b a", "u": "b a"},
)
case(
    "a strided slice is one inner unit of a product",
    {"p": (6,), "g": (3,), "u": (3,)},
    of_shape((3,), "even odd e2 o2"),
    "(f [0+s+1]) -> f: p even",
    "(f [1+s+0]) -> f: p odd",
    "f, f -> f: even g e2",
    "f, f -> f: odd e2 o2",
    "f, f: o2 u",
    sizes={"f": 3, "s": 1},
    groups={"a": "3"},
    tensors={"p": "a*2; @1a*2", "g": "a", "u": "a"},
)
case(
    "a constant that all heads share takes nothing from what is over the heads",
    {"w": (2, 3), "u": (2, 3)},
    {"y": (2, 3), "z": (2,)},
    "h n, n -> h n: w c y",
    "h n, h n -> h: y u z",
    constants={"c": np.ones(3)},
    groups={"a": "2", "b": "3 over a"},
    tensors={"w": "a b", "u": "a b"},
)
