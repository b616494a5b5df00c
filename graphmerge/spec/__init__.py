"""Permutation specs: a Symmetry as a YAML file that people read and write. See ``notation.py`` for the axes."""

from graphmerge.spec.check import check_spec
from graphmerge.spec.read import load_spec, parse_spec
from graphmerge.spec.write import save_spec, spec_text

__all__ = ["check_spec", "load_spec", "parse_spec", "save_spec", "spec_text"]
