"""Losses of models, and the loss on the line between two of them."""

from graphmerge.evaluate.barrier import barrier
from graphmerge.evaluate.curve import Curve
from graphmerge.evaluate.evaluate import Evaluation, evaluate
from graphmerge.evaluate.metrics import GLUE, METRICS, Metric, named_metrics
from graphmerge.evaluate.plot import figure_format, plot_curves

__all__ = [
    "GLUE", "METRICS", "Curve", "Evaluation", "Metric", "barrier", "evaluate", "figure_format", "named_metrics",
    "plot_curves",
]  # fmt: skip
