"""The figure of a sweep: means over pairs, in bands of one standard error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from graphmerge.evaluate import figure_format
from graphmerge.files import write_beside

if TYPE_CHECKING:
    from graphmerge.sweep.curves import Curves


def plot_means(found: Sequence[Curves], path: str | Path | None = None) -> Figure:
    """The mean loss over λ of each, in a band of one standard error; grey and dashed, the pairs as they are."""
    chosen = "png" if path is None else figure_format(Path(path))
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    vanilla = found[0].vanilla
    for curves in (vanilla, *(c for c in found if c.matching != vanilla.matching)):
        style, colour = ("o--", "tab:gray") if curves.matching == vanilla.matching else ("o-", None)
        fewer = "" if curves.pairs == vanilla.pairs else f" ({len(curves.pairs)} pairs)"
        spread = "" if curves.barrier_error is None else f" ± {curves.barrier_error:.3f}"
        label = f"{curves.matching}{fewer}: barrier {curves.barrier:.3f}{spread}"
        (line,) = axes.plot(curves.lambdas, curves.mean, style, color=colour, markersize=4, label=label)
        if (errors := curves.standard_error) is not None:
            low, high = np.array(curves.mean) - errors, np.array(curves.mean) + errors
            axes.fill_between(curves.lambdas, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    pairs = len(found[0].pairs)
    axes.set_title(f"Mean over {pairs} pairs, ± standard error" if pairs > 1 else "One pair of models")
    axes.set_xlabel("λ (0 is A, 1 is B)")
    axes.set_ylabel(found[0].curves[0].label)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    if path is not None:
        with write_beside(Path(path)) as beside:
            figure.savefig(beside, format=chosen, dpi=150)
    return figure
