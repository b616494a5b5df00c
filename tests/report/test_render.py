import json

from graphmerge.report import to_json, to_text
from graphmerge.report.render import table


def test_cells_are_taken_as_they_are():
    text = to_text(table("Names", ["name", "size"], [["x[0] [bold]y[/bold]", "3"]], numbers=["size"]))
    assert "x[0] [bold]y[/bold]" in text
    assert "\x1b" not in text


def test_numbers_are_right_aligned_and_titles_stand_left():
    lines = to_text(table("Sizes", ["name", "size"], [["a", "3"], ["b", "3,072"]], numbers=["size"])).splitlines()
    assert lines[0] == "Sizes"
    ends = {len(line) for line in lines if line.endswith(("3", "2"))}
    assert len(ends) == 1


def test_json_is_sorted_and_strict():
    text = to_json({"b": float("nan"), "a": (1.5, float("inf")), 3: None})
    assert json.loads(text) == {"3": None, "a": [1.5, None], "b": None}
    assert text.index('"a"') < text.index('"b"')
