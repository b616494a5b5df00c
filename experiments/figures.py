"""The figures of the report, small enough to be kept with the text."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from experiments.heat import Heat
from graphmerge.files import write_beside
from graphmerge.sweep import Sweep

DPI = 80
SHOWN = 96  # units of a heat map: more are finer than its pixels


def draw_means(sweep: Sweep, title: str, path: Path) -> None:
    """The mean loss over λ of every variant, in a band of one standard error."""
    figure = sweep.plot()
    figure.axes[0].set_title(title)
    figure.set_size_inches(8, 5)  # the names of variants are long
    _save(figure, path)


def draw_heat(heat: Heat, group: str, path: Path) -> None:
    """Correlations of A's first units with B's, side by side before and after B's are moved."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    image = None
    for axes, matrix, when in ((left, heat.before, "before"), (right, heat.after, "after")):
        image = axes.imshow(matrix[:SHOWN, :SHOWN], cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axes.set_title(f"{group}, {when}")
        axes.set_xlabel("unit of B")
        axes.set_ylabel("unit of A")
    assert image is not None
    figure.colorbar(image, ax=[left, right], label="Pearson's r", shrink=0.8)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with write_beside(path) as beside:
        figure.savefig(beside, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
