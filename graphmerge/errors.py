"""Everything graphmerge raises on purpose. Each message says what is wrong, where, and what to do next."""


class GraphMergeError(Exception):
    """Base of all errors that graphmerge raises; the command line prints its text and no traceback."""


class GraphMergeWarning(UserWarning):
    """Something that was left out or pinned and does not stop the work; the command line prints its text."""


class UnknownOp(GraphMergeError):
    """An op without a rule, under ``strict=True``."""


class ArchitectureMismatch(GraphMergeError):
    """Two sets of weights, or weights and a symmetry, that do not belong to one architecture."""


class SpecError(GraphMergeError):
    """A permutation spec that cannot be read or does not fit; ``position`` is its first line and column, if known."""

    position: tuple[int, int] | None = None


class NotEquivariant(GraphMergeError):
    """A permutation that changes the function it should leave unchanged."""


class TraceError(GraphMergeError):
    """A model that cannot be traced, or example inputs that cannot be made."""


class InputError(GraphMergeError):
    """A file, an option or data that cannot be used as given."""


class RecipeError(GraphMergeError):
    """A recipe that cannot be read, or whose keys do not fit together."""
