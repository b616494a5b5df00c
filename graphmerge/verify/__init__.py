"""Verification: random elements of a Symmetry leave every output unchanged, and the check can fail."""

from graphmerge.verify.kinds import KindCheck
from graphmerge.verify.rules import RuleCheck, check_rule
from graphmerge.verify.verify import Verification, errors_of, verify

__all__ = ["KindCheck", "RuleCheck", "Verification", "check_rule", "errors_of", "verify"]
