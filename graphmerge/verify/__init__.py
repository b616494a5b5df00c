"""Verification: random elements of a Symmetry leave every output unchanged, and the check can fail."""

from graphmerge.verify.verify import Verification, verify

__all__ = ["Verification", "verify"]
