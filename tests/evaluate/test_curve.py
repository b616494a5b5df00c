import json
from dataclasses import FrozenInstanceError

import pytest

from graphmerge.errors import InputError
from graphmerge.evaluate import Curve

# ends 1 and 2: the chord is at 1.25, 1.5 and 1.75
CURVE = Curve((0, 0.25, 0.5, 0.75, 1), (1, 1.5, 2, 1.75, 2), (1, 3, 2, 2, 2), 640, 1.5, "nats per token")


def test_barriers_are_measured_from_the_chord():
    assert CURVE.excess == (0, 0.25, 0.5, 0, 0)
    assert CURVE.barrier == 0.5
    assert CURVE.peak == 0.5
    assert CURVE.vanilla_barrier == 1.75
    assert CURVE.removed == pytest.approx(1 - 0.5 / 1.75)
    assert CURVE.midpoint == 2


def test_a_line_that_dips_has_no_barrier():
    dip = Curve((0, 0.5, 1), (1, 0.2, 1), (1, 0.5, 1), 1, 0)
    assert dip.barrier == 0
    assert dip.removed is None


def test_ends_count_nothing_however_they_are_rounded():
    lambdas = [i / 10 for i in range(11)]
    assert Curve(lambdas, [0.1 + 0.2 * x for x in lambdas], None, 1, 0).barrier < 1e-15


def test_midpoint_between_two_points():
    assert Curve((0, 1 / 3, 2 / 3, 1), (0, 1, 3, 0), None, 1, 0).midpoint == pytest.approx(2)


def test_json_round_trip(tmp_path):
    text = CURVE.to_json(tmp_path / "curve.json")
    assert (tmp_path / "curve.json").read_text() == text
    assert Curve.from_json(text) == Curve.from_json(tmp_path / "curve.json") == CURVE
    assert Curve.from_json(str(tmp_path / "curve.json")).to_json() == text
    alone = Curve((0, 0.5, 1), (1, 2, 1), None, 1, 0)
    assert Curve.from_json(alone.to_json()) == alone


def test_json_that_is_no_curve(tmp_path):
    data = json.loads(CURVE.to_json())
    for wrong in (data | {"format": "graphmerge.curve.9"}, data | {"colour": "red"}, {"lambdas": []}):
        with pytest.raises(InputError, match="the JSON text holds no curve"):
            Curve.from_json(json.dumps(wrong))
    with pytest.raises(InputError, match=r"none\.json is not readable JSON"):
        Curve.from_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="a curve of 5 points has 4 losses"):
        Curve.from_json(json.dumps(data | {"losses": [1, 2, 3, 4]}))


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        CURVE.losses = ()


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot_shows_both_curves_and_says_what_the_axes_are(tmp_path, suffix):
    figure = CURVE.plot(tmp_path / f"curve.{suffix}")
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [list(CURVE.vanilla), list(CURVE.losses), [1, 2]]
    assert axes.get_xlabel() == "λ (0 is A, 1 is B)"
    assert axes.get_ylabel() == "loss (nats per token)"
    assert axes.get_title()
    assert "0.500" in figure.legends[0].get_texts()[1].get_text()
    assert (tmp_path / f"curve.{suffix}").stat().st_size > 1000
    assert [p.name for p in tmp_path.iterdir()] == [f"curve.{suffix}"]


def test_plot_of_one_curve_draws_it_once():
    same = Curve(CURVE.lambdas, CURVE.losses, CURVE.losses, 1, 0)
    assert len(same.plot().axes[0].lines) == 2
    assert same.plot().axes[0].get_ylabel() == "loss"


def test_a_figure_of_an_unknown_format_is_refused(tmp_path):
    curve = Curve((0.0, 0.5, 1.0), (1.0, 1.5, 1.0), None, positions=4, seconds=0.1)
    with pytest.raises(InputError, match=r"cannot be written as \.foo; the formats are .*png"):
        curve.plot(tmp_path / "curve.foo")
    assert not list(tmp_path.iterdir())
    curve.plot(tmp_path / "curve.PNG")
    assert (tmp_path / "curve.PNG").read_bytes().startswith(b"\x89PNG")
