"""Curves of all pairs of several models, by several ways of matching, streamed to a file that can be continued."""

from graphmerge.sweep.curves import VANILLA, Curves, Sweep
from graphmerge.sweep.forecast import Step
from graphmerge.sweep.sweep import sweep

__all__ = ["VANILLA", "Curves", "Step", "Sweep", "sweep"]
