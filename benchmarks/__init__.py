"""Measurements. Run as ``python -m benchmarks.NAME``; each prints figures and ratios of one run."""
