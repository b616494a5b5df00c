"""Verification: random elements of a Symmetry leave every output unchanged, and the check can fail."""

from graphmerge.verify.kinds import KindCheck
from graphmerge.verify.verify import Verification, verify

__all__ = ["KindCheck", "Verification", "verify"]
