"""The stages of a run, in a directory of their own beside the output, where an interrupted run goes on.

Every stage writes its files whole or not at all, the one that says that it is finished last. None of them holds a time
or the place where it lies, so that the same recipe gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from graphmerge.checkpoint import PERMUTATIONS, load_model, load_state
from graphmerge.evaluate import Curve, barrier, evaluate
from graphmerge.files import write_beside
from graphmerge.match import Match, Matches, match, match_many
from graphmerge.merge import Part, write_merged
from graphmerge.recipe.plan import Plan, seed_all
from graphmerge.recipe.resolve import recipe_text
from graphmerge.report import RecipeReport, recipe_data, recipe_report, to_json
from graphmerge.symmetry import Permutations

Progress = Callable[[int, int], None]
MATCHED, MERGED, EVALUATED = "match.json", "merged", "evaluation.json"
RECIPE: Final = "graphmerge-recipe.yaml"
REPORT: Final = ("graphmerge-report.json", "graphmerge-report.txt")
FIGURE: Final = "barrier.png"


class Stages:
    """What there is of a run in ``folder``."""

    def __init__(self, plan: Plan, folder: Path, progress: Progress | None = None) -> None:
        self.plan, self.folder, self.progress = plan, folder, progress

    @property
    def names(self) -> tuple[str, ...]:
        """The stages in their order."""
        return ("match", "merge", *(("evaluate",) if self.plan.recipe.evaluation else ()))

    def is_finished(self, name: str) -> bool:
        """Has this stage been finished, now or before?"""
        return (self.folder / {"match": MATCHED, "merge": MERGED, "evaluate": EVALUATED}[name]).exists()

    def run(self, name: str) -> None:
        """Do one stage."""
        {"match": self._match, "merge": self._merge, "evaluate": self._evaluate}[name]()

    # -- matching ------------------------------------------------------------------------------------------------------

    def _match(self) -> None:
        files = permutation_files(len(self.plan.weights))
        found = list(self._matches())
        for file, (permutations, _) in zip(files, found):
            permutations.save(self.folder / file)
        data = [{"groups": list(m.groups), "objective": list(m.history), "notes": list(m.notes)} for _, m in found]
        _write(self.folder / MATCHED, to_json(data))

    def _matches(self) -> Iterator[tuple[Permutations, Match | Matches]]:
        """For every model after the first what moves it, and how that was found."""
        recipe, plan = self.plan.recipe, self.plan
        if recipe.match.method == "identity":
            for _ in plan.weights[1:]:
                yield plan.symmetry.identity(), Match(plan.symmetry.identity(), "identity", (), (), 0.0)
            return
        arguments = match_options(plan) | {"device": recipe.device, "progress": self.progress}
        if recipe.match.to == "universe":
            models = [self._module(n) for n in range(len(plan.weights))]
            found = match_many(models, plan.symmetry, to="universe", **arguments)
            yield from ((permutations, found) for permutations in found.permutations)
            return
        first = self._module(0)
        for n in range(1, len(plan.weights)):
            m = match(first, self._module(n), plan.symmetry, **arguments)
            yield m.permutations, m

    def _module(self, n: int) -> nn.Module:
        """A model with its weights."""
        weights = self.plan.weights[n]
        if weights.entries is None:
            return weights.loaded.model
        seed_all(self.plan.recipe.seed)
        return load_model(str(weights.loaded.directory), trust_remote_code=self.plan.recipe.trust_remote_code).model

    def _permutations(self) -> list[Permutations]:
        return [Permutations.load(self.folder / file) for file in permutation_files(len(self.plan.weights))]

    # -- merging -------------------------------------------------------------------------------------------------------

    def _parts(self) -> list[Part]:
        """The models in one order of units."""
        return [Part(w, p) for w, p in zip(self.plan.weights, [None, *self._permutations()])]

    def _merge(self) -> None:
        plan, recipe = self.plan, self.plan.recipe
        parts = self._parts()
        options = recipe.model_dump(exclude_none=True, exclude={"models", "inputs", "output"})
        made_of = {
            "inputs": [
                {"path": model, "sha256": (recipe.inputs or {}).get(f"models.{n}", {})}
                for n, model in enumerate(recipe.models)
            ],
            "options": {"command": "run", **options},
            "permutations": ", ".join(permutation_files(len(parts))),
        }
        target = self.folder / MERGED
        write_merged(parts, plan.shares, target, provenance=made_of, shard_size=plan.shard_bytes)

    # -- measuring -----------------------------------------------------------------------------------------------------

    def _evaluate(self) -> None:
        plan, recipe = self.plan, self.plan.recipe
        assert recipe.evaluation is not None, "else it is no stage"
        batches, loss, device = plan.batches["evaluation"], plan.losses["evaluation"], recipe.device
        metrics = recipe.evaluation.metrics or []
        data: dict[str, Any] = {"losses": [], "metrics": []}
        first = self._module(0)
        for n in range(len(plan.weights)):
            model = first if n == 0 else self._module(n)
            found = evaluate(model, batches, loss, device, self.progress, metrics)
            data["losses"].append(found.loss)
            data["metrics"].append(dict(found.metrics))
            if n == 1 and recipe.evaluation.points is not None:
                moves, points = self._permutations()[0], recipe.evaluation.points
                curve = barrier(first, model, batches, moves, loss, points, device, self.progress, metrics=metrics)
                curve = dataclasses.replace(curve, seconds=0.0)  # which would differ from run to run
                curve.plot(self.folder / FIGURE)
                data["curve"] = json.loads(curve.to_json())
            del model
        merged = self._merged(first)
        found = evaluate(merged, batches, loss, device, self.progress, metrics)
        data["metrics"].append(dict(found.metrics))
        data |= {"merged": found.loss, "positions": found.positions, "unit": found.unit}
        if plan.shares.kept:
            data["with_kept"] = []
            for part in self._parts():
                own = merged.load_state_dict({key: part.read(key) for key in plan.shares.kept}, strict=False)
                assert not own.unexpected_keys, "keys are those of the class"
                found = evaluate(merged, batches, loss, device, self.progress, metrics)
                data["with_kept"].append(found.loss)
                data["metrics"].append(dict(found.metrics))
        _write(self.folder / EVALUATED, to_json(data))

    def _merged(self, first: nn.Module) -> nn.Module:
        """The model that was merged, as whoever reads the directory gets it."""
        folder = self.folder / MERGED
        if self.plan.weights[0].loaded.directory is not None:
            return load_model(folder, trust_remote_code=self.plan.recipe.trust_remote_code).model
        first.load_state_dict(load_state(folder))  # ours: it is not used any more
        return first

    # -- the end -------------------------------------------------------------------------------------------------------

    def report(self) -> RecipeReport:
        """What the run found."""
        matches = json.loads((self.folder / MATCHED).read_text(encoding="utf-8"))
        measured = self.folder / EVALUATED
        data = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else {}
        curve = data.get("curve")
        return RecipeReport(
            models=tuple(self.plan.recipe.models),
            weights=self.plan.shares.weights,
            interpolation=self.plan.shares.method,
            method=self.plan.recipe.match.method,
            groups=tuple(tuple(m["groups"]) for m in matches),
            notes=tuple(tuple(m["notes"]) for m in matches),
            losses=tuple(data.get("losses", ())),
            merged=data.get("merged"),
            with_kept=tuple(data.get("with_kept", ())),
            positions=data.get("positions"),
            unit=data.get("unit", "loss"),
            metrics=tuple(row for row in data.get("metrics", ()) if row),
            curve=None if curve is None else Curve.from_json(json.dumps(curve)),
        )

    def finish(self) -> None:
        """Put the report and what belongs to it beside the weights, and everything in the place of the output."""
        merged, report = self.folder / MERGED, self.report()
        for name in (*permutation_files(len(self.plan.weights)), FIGURE):
            if (self.folder / name).exists():
                with write_beside(merged / name) as beside:
                    shutil.copyfile(self.folder / name, beside)
        _write(merged / REPORT[0], to_json(recipe_data(report)))
        _write(merged / REPORT[1], recipe_report(report))
        _write(merged / RECIPE, recipe_text(self.plan.recipe))


def match_options(plan: Plan) -> dict[str, Any]:
    """What the recipe says about matching, as arguments of `match`."""
    recipe = plan.recipe
    return {
        "method": recipe.match.method,
        "data": plan.batches.get("calibration"),
        "groups": None if recipe.groups is None else plan.groups,
        "similarity": recipe.match.similarity,
        "seed": recipe.seed,
        "sweeps": recipe.match.sweeps,
        "options": recipe.match.options,
        "loss": plan.losses["match"],
    }


def permutation_files(models: int) -> list[str]:
    """The names of the files with the permutations of the models after the first.

    >>> permutation_files(2), permutation_files(3)
    (['permutations.safetensors'], ['permutations-1.safetensors', 'permutations-2.safetensors'])
    """
    stem, dot, suffix = PERMUTATIONS.partition(".")
    return [PERMUTATIONS] if models == 2 else [f"{stem}-{n}{dot}{suffix}" for n in range(1, models)]


def _write(path: Path, text: str) -> None:
    with write_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Arithmetic on so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
