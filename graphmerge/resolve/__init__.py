"""A spec for a model: from a file, packaged for its family, or what is derived with changes; all sizes known."""

from graphmerge.resolve.load import load_spec, needs_weights

__all__ = ["load_spec", "needs_weights"]
