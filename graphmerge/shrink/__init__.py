"""Shrinking: a config of any size -> one of the same architecture that is small enough to count and to prove."""

from graphmerge.shrink.shrink import Plan, plan, shrink

__all__ = ["Plan", "plan", "shrink"]
