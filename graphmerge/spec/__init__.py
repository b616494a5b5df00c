"""Permutation specs: a Symmetry as a YAML file that people read and write. See ``notation.py`` for the axes."""

from graphmerge.spec.check import check_spec
from graphmerge.spec.packaged import PACKAGED, packaged_names, packaged_text
from graphmerge.spec.read import load_spec, models_of, parse_spec, read_text
from graphmerge.spec.schema import spec_schema
from graphmerge.spec.target import Target
from graphmerge.spec.write import save_spec, spec_text

__all__ = [
    "PACKAGED",
    "Target",
    "check_spec",
    "load_spec",
    "models_of",
    "packaged_names",
    "packaged_text",
    "parse_spec",
    "read_text",
    "save_spec",
    "spec_schema",
    "spec_text",
]
