"""Commands that move weights: match, apply, merge."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from graphmerge.checkpoint import Loaded, load_model, provenance, save_model
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
    Trust,
    check_new,
    data_for,
    load_two,
    out,
    progress,
    say,
    symmetry_of,
)
from graphmerge.data import Sampling
from graphmerge.errors import InputError
from graphmerge.match import Match
from graphmerge.match import match as run_match
from graphmerge.match.match import Method as MethodName
from graphmerge.merge import merge as run_merge
from graphmerge.report import to_json
from graphmerge.symmetry import Permutations

Method = Annotated[MethodName, typer.Option(help="How to match.")]
Groups = Annotated[
    str | None,
    typer.Option(help="Which groups take part: globs, as in 'ffn,heads'. Default: chosen on the data, else all."),
]
Similarity = Annotated[str, typer.Option(help="Of activations: correlation, covariance or inner_product.")]
Saved = Annotated[Path, typer.Option("--out", "-o", help="The directory to write.")]


def match(
    a: Model,
    b: ModelB,
    out_file: Annotated[Path, typer.Option("--out", "-o", help="The permutations file to write (.safetensors).")],
    method: Method = "weights",
    data: Data = None,
    groups: Groups = None,
    similarity: Similarity = "correlation",
    spec: Spec = None,
    batches: Batches = 24,
    size: Size = 32,
    length: Length = 64,
    seed: Seed = 0,
    device: Device = "auto",
    trust_remote_code: Trust = False,
    allow_different_tokenizers: AnyTokenizer = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Find the permutations that bring B closest to A."""
    check_new(out_file, force)
    first, second = load_two(a, b, trust_remote_code, allow_different_tokenizers)
    sampling = Sampling(batches, size, length, seed)
    found = _match(first, second, method, data, groups, similarity, spec, sampling, device)
    found.permutations.save(out_file)
    if json:
        typer.echo(to_json({**json_module.loads(found.to_json()), "permutations": str(out_file)}), nl=False)
        return
    for note in found.notes:
        say(note)
    out.print(f"{found.method}: {len(found.groups)} groups took part, {found.seconds:.1f} s; wrote {out_file}")


def _match(
    a: Loaded,
    b: Loaded,
    method: MethodName,
    data: str | None,
    groups: str | None,
    similarity: str,
    spec: Path | None,
    sampling: Sampling,
    device: str,
) -> Match:
    needed = method == "activations" or data is not None
    batches = data_for(a, data, sampling, "matching by activations") if needed else None
    with progress(f"matching by {method}") as tick:
        return run_match(
            a.model,
            b.model,
            symmetry_of(a, spec),
            method=method,
            data=batches,
            groups=groups,
            similarity=similarity,
            device=device,
            seed=sampling.seed,
            progress=tick,
        )


def apply(
    model: Model,
    permutations: Annotated[Path, typer.Argument(help="A file that `graphmerge match` wrote.")],
    out_directory: Saved,
    inverse: Annotated[bool, typer.Option("--inverse", help="Apply the inverse.")] = False,
    trust_remote_code: Trust = False,
    force: Force = False,
) -> None:
    """Save a model with its units permuted: the same function, in another order."""
    check_new(out_directory, force)
    loaded = load_model(model, trust_remote_code=trust_remote_code)
    element = Permutations.load(permutations)
    moved = (element.inverse() if inverse else element).apply(loaded.model)
    _save(moved, out_directory, loaded, [model], {"command": "apply", "inverse": inverse}, str(permutations), force)


def merge(
    a: Model,
    b: ModelB,
    out_directory: Saved,
    permutations: Annotated[Path | None, typer.Option(help="A file that `graphmerge match` wrote.")] = None,
    weight: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of B in the average.")] = 0.5,
    method: Annotated[MethodName | None, typer.Option(help="Match first, this way.")] = None,
    data: Data = None,
    groups: Groups = None,
    similarity: Similarity = "correlation",
    spec: Spec = None,
    batches: Batches = 24,
    size: Size = 32,
    length: Length = 64,
    seed: Seed = 0,
    device: Device = "auto",
    trust_remote_code: Trust = False,
    allow_different_tokenizers: AnyTokenizer = False,
    force: Force = False,
) -> None:
    """Average two models, B permuted onto A; writes a directory that from_pretrained loads."""
    check_new(out_directory, force)
    if (permutations is None) == (method is None):
        raise InputError("say how to align B: --permutations FILE, or --method weights | activations | identity")
    first, second = load_two(a, b, trust_remote_code, allow_different_tokenizers)
    if method is None:
        element = Permutations.load(str(permutations))
    else:
        sampling = Sampling(batches, size, length, seed)
        found = _match(first, second, method, data, groups, similarity, spec, sampling, device)
        for note in found.notes:
            say(note)
        element = found.permutations
    merged = run_merge([first.model, second.model], permutations=element, weights=[1 - weight, weight])
    options = {"command": "merge", "weight": weight, "method": method, "groups": groups, "data": data, "seed": seed}
    _save(merged, out_directory, first, [a, b], options, str(permutations) if permutations else None, force)


def _save(
    model: torch.nn.Module,
    directory: Path,
    like: Loaded,
    inputs: list[str],
    options: dict[str, Any],
    permutations: str | None,
    force: bool,
) -> None:
    made_of = provenance(inputs, options, permutations)
    save_model(model, directory, like=like.directory, provenance=made_of, force=force)
    say(f"wrote {directory}")
