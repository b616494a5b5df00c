"""What certify raises."""

from graphmerge.errors import GraphMergeError


class CertifyError(GraphMergeError):
    """A model that cannot be unrolled into scalar operations, or a graph that cannot be counted."""
