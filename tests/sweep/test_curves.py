"""The value that a sweep gives: its numbers, its figure, its file."""

import json

import pytest

from graphmerge.errors import InputError
from graphmerge.evaluate import Curve
from graphmerge.sweep import Curves, Sweep
from tests.sweep.rings import sweep

ONE = Curve((0, 0.5, 1), (1, 2, 1), (1, 5, 1), 8, 0.1, "nats per token")
TWO = Curve((0, 0.5, 1), (2, 4, 2), (2, 9, 2), 8, 0.1, "nats per token")
CURVES = Curves("weights", (("a", "b"), ("a", "c")), (ONE, TWO))


def test_json_round_trip(tmp_path):
    text = CURVES.to_json(tmp_path / "curves.json")
    assert Curves.from_json(text) == Curves.from_json(tmp_path / "curves.json") == CURVES
    data = json.loads(text)
    assert (data["mean"], data["standard_error"]) == ([1.5, 3, 1.5], [0.5, 1, 0.5])
    assert (data["barrier"], data["barrier_error"], data["vanilla_barrier"]) == (1.5, 0.5, 5.5)
    for wrong in ("{}", '{"format": "graphmerge.curve.1"}'):
        with pytest.raises(InputError, match="holds no curves"):
            Curves.from_json(wrong)
    with pytest.raises(InputError, match=r"none\.json is not readable JSON"):
        Curves.from_json(tmp_path / "none.json")


def test_curves_that_do_not_belong_together():
    for other in (
        Curve((0, 0.4, 1), (1, 2, 1), (1, 5, 1), 8, 0.1, "nats per token"),
        Curve((0, 0.5, 1), (1, 2, 1), (1, 5, 1), 8, 0.1),
        Curve((0, 0.5, 1), (1, 2, 1), None, 8, 0.1, "nats per token"),
    ):
        with pytest.raises(InputError, match="the same λ, the same unit, and the vanilla curve beside"):
            Curves("weights", CURVES.pairs, (ONE, other))
    with pytest.raises(InputError, match="curves of 2 pairs of models: there are 1"):
        Curves("weights", CURVES.pairs, (ONE,))
    with pytest.raises(InputError, match="no matching 'x'; there are weights"):
        Sweep({"weights": CURVES})["x"]


def test_the_figure_shows_means_in_bands(tmp_path):
    figure = CURVES.plot(tmp_path / "curves.svg")
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.5, 7, 1.5], [1.5, 3, 1.5]]
    heights = [set(band.get_paths()[0].vertices[:, 1]) for band in axes.collections]
    assert heights == [{1, 2, 5, 9}, {1, 2, 4}]  # mean ± error: 7 ± 2 and 3 ± 1 in the middle, 1.5 ± 0.5 at the ends
    assert axes.get_title() == "Mean over 2 pairs, ± standard error"
    assert axes.get_ylabel() == "loss (nats per token)"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "vanilla: barrier 5.500 ± 1.500",
        "weights: barrier 1.500 ± 0.500",
    ]
    assert (tmp_path / "curves.svg").stat().st_size > 1000


def test_the_figure_of_a_whole_sweep_has_every_matching():
    found = sweep()
    texts = [t.get_text() for t in found.plot().legends[0].get_texts()]
    assert [text.split(":")[0] for text in texts] == ["vanilla", "weights", "swapped"]
    assert len(Sweep({"vanilla": found["vanilla"]}).plot().axes[0].lines) == 1
    single = Curves("weights", CURVES.pairs[:1], (ONE,)).plot()
    assert single.axes[0].get_title() == "One pair of models"
    assert not single.axes[0].collections
