import itertools

import pytest

from graphmerge.report.fold import fold


def patterns(*names: str, **values: int) -> list[str]:
    return [f.pattern for f in fold(dict.fromkeys(names) | values)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["residual"], ["residual"]),
        ([f"layers.{i}.ffn" for i in range(12)], ["layers.{0..11}.ffn"]),
        (["layers.0.v", "layers.0.qk", "layers.1.v", "layers.1.qk"], ["layers.{0..1}.v", "layers.{0..1}.qk"]),
        (["layers.0.f", "layers.2.f", "layers.3.f", "layers.4.f"], ["layers.{0,2..4}.f"]),
        (["layers.10.f", "layers.2.f"], ["layers.{2,10}.f"]),
        ([f"a.{i}.b.{j}" for i, j in itertools.product(range(3), range(4))], ["a.{0..2}.b.{0..3}"]),
        (["a.0.b.0", "a.0.b.1", "a.1.b.0"], ["a.0.b.{0..1}", "a.1.b.0"]),
        (["encoder.0.f", "decoder.0.f"], ["encoder.0.f", "decoder.0.f"]),
        ([], []),
    ],
)
def test_patterns(names, expected):
    assert patterns(*names) == expected


def test_names_with_other_values_stay_apart():
    values = {"layers.0.ffn": 64, "layers.1.ffn": 32, "layers.2.ffn": 32}
    assert [(f.pattern, f.names) for f in fold(values)] == [
        ("layers.0.ffn", ("layers.0.ffn",)),
        ("layers.{1..2}.ffn", ("layers.1.ffn", "layers.2.ffn")),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_every_name_is_in_exactly_one_pattern(seed):
    import random

    draw = random.Random(seed)
    names = [f"a.{i}.b.{j}.c.{k}" for i, j, k in itertools.product(range(3), repeat=3) if draw.random() < 0.6]
    folded = fold(dict.fromkeys(names))
    assert sorted(n for f in folded for n in f.names) == sorted(names)
    for f in folded:
        assert len(f.names) == len(f.ranges[0]) * len(f.ranges[1]) * len(f.ranges[2])
