"""The main job on one pair: derive, prove, match, merge, measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from graphmerge.checkpoint import provenance, save_model
from graphmerge.demo.data import batches, folder, load_pair
from graphmerge.evaluate import Curve, barrier, plot_curves
from graphmerge.graph import trace
from graphmerge.match import Match, match
from graphmerge.merge import merge
from graphmerge.symmetry import Symmetry
from graphmerge.verify import Verification, verify

METHODS = ("weights", "activations")
CALIBRATION_BATCHES = 24
VALIDATION_BATCHES = 4
POINTS = 21
Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What came out for one pair, and the files that were written."""

    architecture: str
    symmetry: Symmetry
    verification: Verification
    matches: dict[str, Match]
    curves: dict[str, Curve]
    files: list[Path] = field(default_factory=list)

    @property
    def best(self) -> str:
        """The method with the lowest barrier."""
        return min(self.curves, key=lambda method: self.curves[method].barrier)


def run(architecture: str, out: Path, say: Say, device: str = "auto") -> Result:
    """Align and merge one of the packaged pairs; writes figures, permutations, a spec and the merged model to ``out``.

    Groups that take part are chosen on calibration data, barriers are measured on validation data.
    """
    a, b = load_pair(architecture)
    calibration = list(batches(architecture, "calibration", CALIBRATION_BATCHES))
    validation = list(batches(architecture, "validation", VALIDATION_BATCHES))
    say(f"{architecture}: deriving the groups")
    symmetry = trace(a).symmetry()
    say(f"{architecture}: proving them")
    verification = verify(a, symmetry)
    matches, curves = {}, {}
    for method in METHODS:
        say(f"{architecture}: matching by {method}")
        matches[method] = match(a, b, symmetry, method=method, data=calibration, device=device)
        say(f"{architecture}: measuring the barrier")
        # the models as they are need measuring once
        first = next(iter(curves.values()), None)
        curve = barrier(
            a, b, validation, matches[method].permutations, points=POINTS, device=device, vanilla=first is None
        )
        curves[method] = curve if first is None else replace(curve, vanilla=first.vanilla)
    result = Result(architecture, symmetry, verification, matches, curves)
    _write(result, a, b, out)
    return result


def _write(result: Result, a: nn.Module, b: nn.Module, out: Path) -> None:
    name, best = result.architecture, result.best
    spec, figure, merged = out / f"{name}.yaml", out / f"{name}.png", out / f"{name}-merged"
    result.symmetry.to_yaml(spec)
    plot_curves(result.curves, f"{name}: loss between two models trained from different initialisations", figure)
    result.files.extend([spec, figure])
    for method, found in result.matches.items():
        path = out / f"{name}-{method}.safetensors"
        found.permutations.save(path)
        result.files.append(path)
    model = merge([a, b], permutations=result.matches[best].permutations)
    made_of = provenance([folder(name, 1), folder(name, 2)], {"method": best}, f"{name}-{best}.safetensors")
    save_model(model, merged, like=folder(name, 1), provenance=made_of, force=True)
    result.files.append(merged)
