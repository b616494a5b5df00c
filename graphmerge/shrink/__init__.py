"""Shrinking: a config of any size -> one of the same architecture that is small enough to count and to prove."""

from graphmerge.shrink.plan import Plan, plan
from graphmerge.shrink.shrink import shrink

__all__ = ["Plan", "plan", "shrink"]
