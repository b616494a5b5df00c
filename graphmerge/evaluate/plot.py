"""The figure of a curve. Drawn without pyplot: no window, no global state, any backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from graphmerge.files import write_beside

if TYPE_CHECKING:
    from graphmerge.evaluate.curve import Curve


def plot_curve(curve: Curve, path: str | Path | None = None) -> Figure:
    """Loss over λ with and without permutations, and the chord that the barrier is measured from."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    if curve.vanilla is not None and curve.vanilla != curve.losses:
        label = f"as they are: barrier {curve.vanilla_barrier:.3f}"
        axes.plot(curve.lambdas, curve.vanilla, "o--", color="tab:gray", markersize=4, label=label)
        axes.plot(curve.lambdas, curve.losses, "o-", markersize=4, label=f"B permuted: barrier {curve.barrier:.3f}")
        axes.set_title("Loss between A and B, with and without permutations")
    else:
        axes.plot(curve.lambdas, curve.losses, "o-", markersize=4, label=f"barrier {curve.barrier:.3f}")
        axes.set_title("Loss between A and B")
    axes.plot([0, 1], [curve.losses[0], curve.losses[-1]], ":", color="black", linewidth=1, label="chord")
    axes.set_xlabel("λ (0 is A, 1 is B)")
    axes.set_ylabel("loss" if curve.unit == "loss" else f"loss ({curve.unit})")
    axes.grid(alpha=0.3)
    axes.legend()
    if path is not None:
        with write_beside(Path(path)) as beside:
            figure.savefig(beside, format=Path(path).suffix.lstrip(".") or "png", dpi=150)
    return figure
