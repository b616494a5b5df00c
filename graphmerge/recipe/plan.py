"""What can be known of a recipe before the work: its models fit, its files are there, its patterns match."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphmerge.checkpoint import Weights, bytes_in, check_pair, check_target, load_model, open_weights
from graphmerge.data import Sampling, load_data, load_loss, special_ids, text_batches
from graphmerge.errors import GraphMergeError
from graphmerge.evaluate.loss import Loss
from graphmerge.graph import trace
from graphmerge.match.freedom import check_groups
from graphmerge.match.selection import named_groups
from graphmerge.merge import Shares, named_tensors
from graphmerge.recipe.datasets import dataset_text, text_digest
from graphmerge.recipe.document import Place
from graphmerge.recipe.read import Reading
from graphmerge.recipe.resolve import name_of, other_digests, resolved
from graphmerge.recipe.schema import DERIVED, Data, Recipe
from graphmerge.resolve import load_spec, needs_weights
from graphmerge.symmetry import Symmetry


@dataclass(frozen=True, eq=False)
class Plan:
    """A recipe that can be carried out.

    ``weights`` are the models, not read yet; ``groups`` may take part (``chosen``: which do is found on the data);
    ``batches`` are by section. ``digests`` has no model in it yet.
    """

    recipe: Recipe
    weights: tuple[Weights, ...]
    symmetry: Symmetry
    groups: tuple[str, ...]
    chosen: bool
    shares: Shares
    batches: Mapping[str, list[Any]]
    losses: Mapping[str, Loss | None]
    digests: Mapping[str, Mapping[str, str]]

    @property
    def shard_bytes(self) -> int | None:
        """How many bytes a file of weights may hold."""
        return None if self.recipe.shard_size is None else bytes_in(self.recipe.shard_size)

    @property
    def output(self) -> Path:
        """The directory to write."""
        return Path(self.recipe.output)


def make_plan(reading: Reading, folder: Path, output: Path | None = None, *, replacing: bool = False) -> Plan:
    """Check all that a recipe names; nothing is written, and of weights nothing but headers is read, unless a spec
    releases pins, which is measured on the first model.

    Files of the user's (factories, loaders, losses) are run.

    Args:
        folder: what its paths are relative to.
        output: the directory to write, if not that of the recipe.
        replacing: it may exist, if it is a model.

    Raises:
        RecipeError: what is wrong, all together, with its place in the file.
    """
    planner = _Planner(reading, folder, output)
    planner.check(replacing)
    return planner.plan()


class _Planner:
    def __init__(self, reading: Reading, folder: Path, output: Path | None) -> None:
        self.reading, self.mistakes = reading, list[tuple[Place, str]]()
        self.digests: dict[str, dict[str, str]] = {}
        self.batches: dict[str, list[Any]] = {}
        self.losses: dict[str, Loss | None] = {}
        recipe = reading.recipe
        if output is not None:
            recipe = recipe.model_copy(update={"output": str(output.resolve())})
        with self._at("device"):
            self.recipe = resolved(recipe, folder)
        self.reading.refuse(self.mistakes)

    @contextmanager
    def _at(self, *place: str | int) -> Iterator[None]:
        """Note what goes wrong inside, as a mistake at this place."""
        try:
            yield
        except GraphMergeError as error:
            self.mistakes.append((place, str(error)))
        except OSError as error:
            self.mistakes.append((place, f"{error.filename or place[-1]} cannot be read ({error.strerror})"))

    def check(self, replacing: bool) -> None:
        """What needs no model, then the models."""
        with self._at("output"):
            check_target(Path(self.recipe.output), force=replacing)
        for section in ("match", "evaluation"):
            with self._at(section, "loss"):
                self.losses[section] = load_loss(getattr(getattr(self.recipe, section), "loss", None))
        opened = self._open()
        for section in ("calibration", "evaluation"):
            data: Data | None = getattr(self.recipe, section)
            if data is not None and opened[0] is not None:
                with self._at(section, "dataset" if data.source is None else "source"):
                    self.batches[section] = self._load(section, data, opened[0])
        if opened[0] is not None:
            self._read_special_ids(opened[0])
            self._read_symmetry(opened[0])
        self.reading.refuse(self.mistakes)
        self.weights = tuple(weights for weights in opened if weights is not None)
        self.digests |= {name_of(place): found for place, found in other_digests(self.recipe)}

    def plan(self) -> Plan:
        """The plan of what was checked."""
        recipe, symmetry = self.recipe, self.symmetry
        moving = recipe.match.method != "identity"
        return Plan(
            recipe=recipe,
            weights=self.weights,
            symmetry=symmetry,
            groups=self.groups if moving else (),
            chosen=moving and recipe.groups is None and "calibration" in self.batches,
            shares=self.shares,
            batches=self.batches,
            losses=self.losses,
            digests=self.digests,
        )

    def _open(self) -> list[Weights | None]:
        opened: list[Weights | None] = []
        for n, model in enumerate(self.recipe.models):
            opened.append(None)
            with self._at("models", n):
                seed_all(self.recipe.seed)
                opened[n] = weights = open_weights(model, trust_remote_code=self.recipe.trust_remote_code)
                if n and opened[0] is not None:
                    first = opened[0].loaded
                    check_pair(
                        first.model,
                        weights.loaded.model,
                        tokenizers=(first.tokenizer, weights.loaded.tokenizer),
                        allow_different_tokenizers=self.recipe.allow_different_tokenizers,
                        names=(first.source, weights.loaded.source),
                    )
        return opened

    def _load(self, section: str, data: Data, first: Weights) -> list[Any]:
        seed = data.seed or 0
        seed_all(seed)
        tokenizer = None if data.tokenizer is None else Path(data.tokenizer)
        sampling = Sampling(data.batches, data.size, data.length, seed, tokenizer, data.draw)
        if data.source is not None:
            return load_data(data.source, first.loaded, sampling)
        assert data.dataset is not None, "the schema asks for one of both"
        text = dataset_text(data.dataset)
        self.digests[name_of((section, "dataset"))] = text_digest(text)
        return text_batches(text, first.loaded, sampling)

    def _read_special_ids(self, first: Weights) -> None:
        """The ids that are left out, of the tokenizer of the data."""
        matching = self.recipe.match
        if matching.special_tokens or matching.special_ids:
            return
        data = self.recipe.calibration
        tokenizer = None if data is None or data.tokenizer is None else Path(data.tokenizer)
        with self._at("match", "special_tokens"):
            found = matching.model_copy(update={"special_ids": list(special_ids(first.loaded, tokenizer))})
            self.recipe = self.recipe.model_copy(update={"match": found})

    def _read_symmetry(self, first: Weights) -> None:
        """The groups, and the patterns that name them or tensors."""
        loaded, recipe = first.loaded, self.recipe
        found: Symmetry | None = None
        with self._at("spec" if recipe.spec != DERIVED else "models"):
            if recipe.spec == DERIVED:
                found = trace(loaded.model, loaded.example_inputs).symmetry()
            else:
                model = loaded.model
                if needs_weights(recipe.spec) and loaded.directory is not None:
                    model = load_model(loaded.directory, trust_remote_code=recipe.trust_remote_code).model
                found = load_spec(recipe.spec, model, loaded.example_inputs, seed=recipe.seed)
        if found is None:
            return
        self.symmetry, self.groups = found, tuple(found.by_name)
        if recipe.groups is not None:
            self.groups = self._named(found, recipe.groups, "groups")
        with self._at("match"):
            check_groups(found, self.groups, recipe.match.options)
        by_key: dict[str, tuple[float, ...]] = {}
        for n, own in enumerate(recipe.merge.exceptions):
            place = ("merge", "exceptions", n)
            if own.groups is not None:
                keys = _moved(found, self._named(found, own.groups, *place, "groups"))
            else:
                keys = self._tensors(first, own.tensors or [], *place, "tensors")
            for key in keys:
                for name in first.ties[key]:
                    by_key.setdefault(name, tuple(own.weights))
        keys = self._tensors(first, recipe.merge.keep or [], "merge", "keep")
        kept = {name: recipe.merge.keep_from for key in keys for name in first.ties[key]}
        with self._at("merge"):
            self.shares = Shares(tuple(recipe.merge.weights or ()), recipe.merge.method, by_key, kept)

    def _named(self, symmetry: Symmetry, patterns: Sequence[str], *place: str | int) -> tuple[str, ...]:
        named: set[str] = set()
        for n, pattern in enumerate(patterns):
            with self._at(*place, n):
                named.update(named_groups(symmetry, [pattern]))
        return tuple(group for group in symmetry.by_name if group in named)

    def _tensors(self, first: Weights, patterns: Sequence[str], *place: str | int) -> list[str]:
        found: dict[str, None] = {}
        for n, pattern in enumerate(patterns):
            with self._at(*place, n):
                found.update(dict.fromkeys(named_tensors(pattern, first.shapes)))
        return list(found)


def _moved(symmetry: Symmetry, groups: Sequence[str]) -> list[str]:
    """The tensors that some groups move."""
    wanted = set(groups)
    return [key for key, blocks in symmetry.layout.items() if any(m.group in wanted for b in blocks for m in b.moves)]


def seed_all(seed: int) -> None:
    """Whatever a user's file draws, it draws the same again."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
