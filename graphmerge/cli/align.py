"""Commands that move weights: match, apply, merge."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from graphmerge.checkpoint import PERMUTATIONS, Loaded, load_model, provenance, save_model
from graphmerge.cli.common import (
    AnyTokenizer,
    Batches,
    Data,
    Device,
    Force,
    Json,
    Length,
    Model,
    ModelB,
    Seed,
    Size,
    Spec,
    Tokenizer,
    Trust,
    check_new,
    check_new_directory,
    data_for,
    emit,
    load_two,
    out,
    progress,
    say,
    symmetry_of,
)
from graphmerge.data import Sampling, load_loss
from graphmerge.errors import InputError
from graphmerge.match import Match
from graphmerge.match import match as run_match
from graphmerge.match.match import Method as MethodName
from graphmerge.merge import merge as run_merge
from graphmerge.symmetry import Permutations

Method = Annotated[MethodName, typer.Option(help="How to match.")]
Groups = Annotated[
    str | None,
    typer.Option(help="Which groups take part: globs, as in 'ffn,heads'. Default: chosen on the data, else all."),
]
Similarity = Annotated[str, typer.Option(help="Of activations: correlation, covariance or inner_product.")]
LossHere = Annotated[
    str | None,
    typer.Option(help="By which the groups are chosen: file.py:function of (model, batch). Default: the model's."),
]
Saved = Annotated[Path, typer.Option("--out", "-o", help="The directory to write.")]


@dataclass(frozen=True)
class _How:
    """How two models are to be matched: the options of that name."""

    method: MethodName
    data: str | None
    loss: str | None
    groups: str | None
    similarity: str
    spec: Path | None
    sampling: Sampling
    device: str

    def run(self, a: Loaded, b: Loaded) -> Match:
        """Match the two models so."""
        needed = self.method == "activations" or self.data is not None
        batches = data_for(a, self.data, self.sampling, "matching by activations") if needed else None
        with progress(f"matching by {self.method}") as tick:
            return run_match(
                a.model,
                b.model,
                symmetry_of(a, self.spec),
                method=self.method,
                data=batches,
                groups=self.groups,
                similarity=self.similarity,
                device=self.device,
                seed=self.sampling.seed,
                loss=load_loss(self.loss),
                progress=tick,
            )

    def options(self) -> dict[str, Any]:
        """The options, for the provenance of what is made with them."""
        drawn = self.sampling
        return {
            "method": self.method,
            "data": self.data,
            "loss": self.loss,
            "groups": self.groups,
            "similarity": self.similarity,
            "spec": None if self.spec is None else str(self.spec),
            "batches": drawn.count,
            "size": drawn.size,
            "length": drawn.length,
            "seed": drawn.seed,
            "tokenizer": None if drawn.tokenizer is None else str(drawn.tokenizer),
            "device": self.device,
        }


def match(
    a: Model,
    b: ModelB,
    out_file: Annotated[Path, typer.Option("--out", "-o", help="The permutations file to write (.safetensors).")],
    method: Method = "weights",
    data: Data = None,
    loss: LossHere = None,
    groups: Groups = None,
    similarity: Similarity = "correlation",
    spec: Spec = None,
    batches: Batches = 24,
    size: Size = 32,
    length: Length = 64,
    seed: Seed = 0,
    tokenizer: Tokenizer = None,
    device: Device = "auto",
    trust_remote_code: Trust = False,
    allow_different_tokenizers: AnyTokenizer = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Find the permutations that bring B closest to A."""
    check_new(out_file, force)
    first, second = load_two(a, b, trust_remote_code, allow_different_tokenizers)
    sampling = Sampling(batches, size, length, seed, tokenizer)
    found = _How(method, data, loss, groups, similarity, spec, sampling, device).run(first, second)
    found.permutations.save(out_file)
    if json:
        emit({**json_module.loads(found.to_json()), "permutations": str(out_file)})
        return
    for note in found.notes:
        say(note)
    out.print(
        Text(f"{found.method}: {len(found.groups)} groups took part, {found.seconds:.1f} s; wrote {out_file}"),
        soft_wrap=True,
    )


def apply(
    model: Model,
    permutations: Annotated[Path, typer.Argument(help="A file that `graphmerge match` wrote.")],
    out_directory: Saved,
    inverse: Annotated[bool, typer.Option("--inverse", help="Apply the inverse.")] = False,
    trust_remote_code: Trust = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Save a model with its units permuted: the same function, in another order."""
    check_new_directory(out_directory, force)
    loaded = load_model(model, trust_remote_code=trust_remote_code)
    element = Permutations.load(permutations)
    element = element.inverse() if inverse else element
    made_of = provenance([loaded], {"command": "apply", "inverse": inverse}, str(permutations))
    save_model(element.apply(loaded.model), out_directory, like=loaded.directory, provenance=made_of, force=force)
    _written(out_directory, made_of, json)


def merge(
    a: Model,
    b: ModelB,
    out_directory: Saved,
    permutations: Annotated[Path | None, typer.Option(help="A file that `graphmerge match` wrote.")] = None,
    weight: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of B in the average.")] = 0.5,
    method: Annotated[MethodName | None, typer.Option(help="Match first, this way.")] = None,
    data: Data = None,
    loss: LossHere = None,
    groups: Groups = None,
    similarity: Similarity = "correlation",
    spec: Spec = None,
    batches: Batches = 24,
    size: Size = 32,
    length: Length = 64,
    seed: Seed = 0,
    tokenizer: Tokenizer = None,
    device: Device = "auto",
    trust_remote_code: Trust = False,
    allow_different_tokenizers: AnyTokenizer = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Average two models, B permuted onto A; writes a directory that from_pretrained loads."""
    check_new_directory(out_directory, force)
    if (permutations is None) == (method is None):
        raise InputError("say how to align B: --permutations FILE, or --method weights | activations | identity")
    first, second = load_two(a, b, trust_remote_code, allow_different_tokenizers)
    options: dict[str, Any] = {"command": "merge", "weight": weight}
    options["allow_different_tokenizers"] = allow_different_tokenizers
    if method is None:
        element, named = Permutations.load(str(permutations)), str(permutations)
    else:
        how = _How(
            method, data, loss, groups, similarity, spec, Sampling(batches, size, length, seed, tokenizer), device
        )
        found = how.run(first, second)
        for note in found.notes:
            say(note)
        element, named = found.permutations, PERMUTATIONS
        options |= how.options()
        options["groups taking part"] = list(found.groups)
    merged = run_merge([first.model, second.model], permutations=element, weights=[1 - weight, weight])
    made_of = provenance([first, second], options, named)
    save_model(merged, out_directory, like=first.directory, provenance=made_of, permutations=element, force=force)
    _written(out_directory, made_of, json)


def _written(directory: Path, made_of: dict[str, Any], json: bool) -> None:
    if json:
        emit({"directory": str(directory), **made_of})
    else:
        say(f"wrote {directory}")
