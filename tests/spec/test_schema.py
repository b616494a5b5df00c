"""The JSON Schema says of the shape of files what the reader says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from graphmerge.errors import SpecError
from graphmerge.spec import packaged_names, packaged_text, parse_spec, spec_schema
from graphmerge.spec.schema import FILE, OverrideFile
from tests.spec.malformed import MALFORMED

WRITTEN = sorted((Path(__file__).parent / "written_before").glob("*.yaml"))
EXAMPLES = sorted((Path(__file__).parents[2] / "specs" / "examples").glob("*.yaml"))
OVERRIDE = """\
graphmerge: 1
derive: true
pin: [a.*, b]
tie: [[a, b], c.*]
release: {x: "w[0]", y: {axes: ["w[1] (8 _4)"], over: h}}
rename: {"a.{l}": "b.{l}"}
"""


WHOLE = """\
graphmerge: 1
model: Tiny
sizes: {n: 4}
repeat: {l: 0..1}
groups: {d: n, "f.{l}": {size: 3, over: d}}
tensors: {"w.{l}": "(d f.{l})"}
pinned: [{reason: x, axes: ["v[0] _4"]}]
notes: [one]
"""


def test_it_is_a_schema_of_both_kinds_of_files():
    schema = spec_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert [entry["$ref"] for entry in schema["anyOf"]] == ["#/$defs/SpecFile", "#/$defs/OverrideFile"]
    kept = schema["$defs"]["SpecFile"]
    assert kept["additionalProperties"] is False
    assert kept["required"] == ["graphmerge", "groups", "tensors"]
    assert "orthogonal" in json.dumps(schema["$defs"]["GroupEntry"]["properties"]["kind"])
    assert all("description" in kept["properties"][key] for key in ("graphmerge", "repeat", "groups", "tensors"))


@pytest.mark.parametrize(
    "text", [*map(packaged_text, packaged_names()), *(p.read_text() for p in (*WRITTEN, *EXAMPLES))]
)
def test_every_spec_that_there_is_follows_it(text):
    FILE.validate_python(yaml.safe_load(text))


def test_overrides_follow_it():
    assert isinstance(FILE.validate_python(yaml.safe_load(OVERRIDE)), OverrideFile)
    for wrong in (
        "derive: no\n",
        "derive: true\ngroups: {}\n",
        "derive: true\ntie: a\n",
        "derive: true\nrename: [a]\n",
    ):
        with pytest.raises(ValidationError):
            FILE.validate_python(yaml.safe_load("graphmerge: 1\n" + wrong))


def test_what_it_refuses_the_reader_refuses():
    """Of the malformed files those of a wrong shape are refused by both; of the rest the schema may say nothing."""
    refused = 0
    for entry in MALFORMED:
        try:
            tree = yaml.safe_load(entry.text)
        except yaml.YAMLError:
            continue
        try:
            FILE.validate_python(tree)
        except ValidationError:
            refused += 1
    assert refused >= 20


def test_what_it_refuses_of_a_good_file_the_reader_refuses():
    """Every section of a file that has them all, with something of another shape in its place."""
    tree = yaml.safe_load(WHOLE)
    assert parse_spec(yaml.safe_dump(tree, sort_keys=False)).groups
    tried = 0
    for key in tree:
        for wrong in ("x", ["x"], [["x"]], [{"x": "y"}], {"a": ["x"]}, {"a": {"b": "x"}}):
            changed = tree | {key: wrong}
            if _refused(changed):
                tried += 1
                with pytest.raises(SpecError):
                    parse_spec(yaml.safe_dump(changed, sort_keys=False))
    assert tried >= 20


def _refused(tree: object) -> bool:
    try:
        FILE.validate_python(tree)
    except ValidationError:
        return True
    return False
