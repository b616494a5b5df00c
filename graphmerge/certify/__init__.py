"""Certificates of completeness: exact counts that use nothing of the derivation."""

from graphmerge.certify.count import Count, Drawn, count, draw, traded_slices
from graphmerge.certify.errors import CertifyError

__all__ = ["CertifyError", "Count", "Drawn", "count", "draw", "traded_slices"]
