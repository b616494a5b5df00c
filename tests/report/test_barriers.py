import json

import pytest

from graphmerge.errors import InputError
from graphmerge.evaluate import Curve
from graphmerge.report import barrier_data, barrier_rows, barrier_table, to_json, to_text


def curve(merged: float, vanilla: float | None = 3.0, unit: str = "nats per token") -> Curve:
    """Ends at 1, ``merged`` and ``vanilla`` in the middle."""
    return Curve((0, 0.5, 1), (1, merged, 1), None if vanilla is None else (1, vanilla, 1), 64, 2.0, unit)


def test_rows():
    rows = barrier_rows({"weights": curve(2.0), "activations": curve(1.5)}, {"weights": 65.0})
    assert [(r.method, r.barrier, r.removed, r.seconds) for r in rows] == [
        ("vanilla", 2.0, None, None),
        ("weights", 1.0, 0.5, 65.0),
        ("activations", 0.5, 0.75, None),
    ]


def test_table():
    text = to_text(barrier_table(barrier_rows({"weights": curve(2.0), "activations": curve(1.5)}, {"weights": 65.0})))
    lines = [line.split() for line in text.splitlines()]
    assert ["method", "barrier", "(nats", "per", "token)", "removed", "time"] in lines
    assert ["vanilla", "2.000", "–", "–"] in lines
    assert ["weights", "1.000", "50.0", "%", "1", "min", "5", "s"] in lines
    assert ["activations", "0.500", "75.0", "%", "–"] in lines


def test_the_time_has_a_column_only_where_it_is_known():
    text = to_text(barrier_table(barrier_rows({"weights": curve(2.0, unit="loss")})))
    assert "time" not in text
    assert "barrier   removed" in text


def test_json_is_not_rounded():
    rows = barrier_rows({"weights": curve(1 + 1 / 3)})
    data = json.loads(to_json(barrier_data(rows)))
    assert data["rows"][1] == {
        "method": "weights",
        "barrier": pytest.approx(1 / 3, rel=1e-15),
        "removed": pytest.approx(5 / 6),
        "seconds": None,
        "unit": "nats per token",
    }


def test_curves_without_a_vanilla_one_have_no_such_row():
    assert [r.method for r in barrier_rows({"weights": curve(2.0, None)})] == ["weights"]
    assert barrier_rows({}) == ()


def test_methods_measured_on_other_models_are_not_compared():
    with pytest.raises(InputError, match=r"weights starts from a barrier of 2\.000 and activations from 3\.000"):
        barrier_rows({"weights": curve(2.0), "activations": curve(2.0, 4.0)})
