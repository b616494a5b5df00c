"""Ops without a rule: their equations are inferred from running them."""

from graphmerge.rules.probe.inference import KIND, Pattern, infer, probe

__all__ = ["KIND", "Pattern", "infer", "probe"]
