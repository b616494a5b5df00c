"""Figures of losses on a line. Drawn without pyplot: no window, no global state, any backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from graphmerge.errors import InputError
from graphmerge.files import write_beside

if TYPE_CHECKING:
    from graphmerge.evaluate.curve import Curve

VANILLA = "as they are"


def figure_format(path: Path) -> str:
    """The format that a file's suffix says; PNG without one.

    Raises:
        InputError: no figure can be written in it.

    >>> figure_format(Path("curve.svg"))
    'svg'
    """
    known = Figure().canvas.get_supported_filetypes()
    found = path.suffix.lstrip(".").lower() or "png"
    if found not in known:
        raise InputError(f"{path}: a figure cannot be written as .{found}; the formats are {', '.join(sorted(known))}")
    return found


def plot_curve(curve: Curve, path: str | Path | None = None) -> Figure:
    """Loss over λ with and without permutations, and the chord that the barrier is measured from."""
    if curve.vanilla is None or curve.vanilla == curve.losses:
        lines, title = {"loss": (curve.losses, curve.barrier)}, "Loss between A and B"
        return draw(curve.lambdas, lines, curve.label, title, path)
    name = "B permuted, not the same function" if curve.unsound else "B permuted"
    return plot_curves({name: curve}, "Loss between A and B, with and without permutations", path)


def plot_curves(curves: Mapping[str, Curve], title: str, path: str | Path | None = None) -> Figure:
    """Several ways of aligning one pair in one figure, the models as they are beside them."""
    first = next(iter(curves.values()))
    lines = {name: (curve.losses, curve.barrier) for name, curve in curves.items()}
    if first.vanilla is not None and first.vanilla_barrier is not None:
        lines = {VANILLA: (first.vanilla, first.vanilla_barrier), **lines}
    return draw(first.lambdas, lines, first.label, title, path)


def draw(
    lambdas: Sequence[float],
    lines: Mapping[str, tuple[Sequence[float], float]],
    label: str,
    title: str,
    path: str | Path | None = None,
) -> Figure:
    """One line for each name: its losses over λ, with its barrier in the legend; dotted, the chord of the first."""
    chosen = "png" if path is None else figure_format(Path(path))
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, (losses, barrier) in lines.items():
        style, colour = ("o--", "tab:gray") if name == VANILLA else ("o-", None)
        axes.plot(lambdas, losses, style, color=colour, markersize=4, label=f"{name}: barrier {barrier:.3f}")
    ends = next(iter(lines.values()))[0]
    axes.plot([0, 1], [ends[0], ends[-1]], ":", color="black", linewidth=1, label="chord")
    axes.set_title(title)
    axes.set_xlabel("λ (0 is A, 1 is B)")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    if path is not None:
        with write_beside(Path(path)) as beside:
            figure.savefig(beside, format=chosen, dpi=150)
    return figure
