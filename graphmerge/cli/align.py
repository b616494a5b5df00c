"""Commands that move weights: match, apply, merge."""

from __future__ import annotations

import dataclasses
import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from graphmerge.checkpoint import PERMUTATIONS, Loaded, Weights, bytes_in, load_model, open_weights, provenance
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
    ShardSize,
    Size,
    Spec,
    Tokenizer,
    Trust,
    check_new,
    check_new_directory,
    data_for,
    emit,
    load_permutations,
    load_two,
    open_two,
    out,
    progress,
    say,
    symmetry_of,
)
from graphmerge.cli.options import with_match_options
from graphmerge.data import Sampling, load_loss, special_ids
from graphmerge.errors import InputError, TraceError
from graphmerge.match import Match, MatchOptions
from graphmerge.match import match as run_match
from graphmerge.match.match import Method as MethodName
from graphmerge.merge import Part, Shares, check_kept, kept_keys, named_tensors, write_merged
from graphmerge.symmetry import Symmetry

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
Keep = Annotated[
    str | None, typer.Option(help="Tensors that are not averaged, as those of a head: globs, as in 'classifier.*'.")
]
KeepFrom = Annotated[int, typer.Option(min=0, max=1, help="Whose tensors these are: 0 for A, 1 for B.")]
Saved = Annotated[Path, typer.Option("--out", "-o", help="The directory to write.")]


@dataclass(frozen=True)
class _How:
    """How two models are to be matched: the options of that name."""

    method: MethodName
    data: str | None
    loss: str | None
    groups: str | None
    similarity: str
    options: MatchOptions
    spec: Path | None
    sampling: Sampling
    device: str

    def check(self) -> None:
        """Refuse what means nothing, before anything is read."""
        self.options.check(self.method, self.similarity, has_data=self.data is not None or self.method == "activations")

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
                options=self.known(a),
            )

    def known(self, model: Loaded) -> MatchOptions:
        """The options, with the special ids of the tokenizer where they are needed and not given."""
        if self.options.special_tokens or self.options.special_ids:
            return self.options
        return dataclasses.replace(self.options, special_ids=special_ids(model, self.sampling.tokenizer))

    def said(self) -> dict[str, Any]:
        """The options, for the provenance of what is made with them."""
        drawn = self.sampling
        return {
            "method": self.method,
            "data": self.data,
            "loss": self.loss,
            "groups": self.groups,
            "similarity": self.similarity,
            **dataclasses.asdict(self.options),
            "spec": None if self.spec is None else str(self.spec),
            "batches": drawn.count,
            "size": drawn.size,
            "length": drawn.length,
            "seed": drawn.seed,
            "tokenizer": None if drawn.tokenizer is None else str(drawn.tokenizer),
            "device": self.device,
        }


@with_match_options
def match(
    a: Model,
    b: ModelB,
    out_file: Annotated[Path, typer.Option("--out", "-o", help="The permutations file to write (.safetensors).")],
    method: Method = "weights",
    data: Data = None,
    loss: LossHere = None,
    groups: Groups = None,
    similarity: Similarity = "correlation",
    options: MatchOptions = MatchOptions(),
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
    sampling = Sampling(batches, size, length, seed, tokenizer)
    how = _How(method, data, loss, groups, similarity, options, spec, sampling, device)
    how.check()
    first, second = load_two(a, b, trust_remote_code, allow_different_tokenizers)
    found = how.run(first, second)
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
    shard_size: ShardSize = None,
    trust_remote_code: Trust = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Save a model with its units permuted: the same function, in another order."""
    check_new_directory(out_directory, force)
    size = None if shard_size is None else bytes_in(shard_size)
    weights = open_weights(model, trust_remote_code=trust_remote_code)
    element = load_permutations(permutations)
    element = element.inverse() if inverse else element
    made_of = provenance([weights.loaded], {"command": "apply", "inverse": inverse}, str(permutations))
    write_merged(
        [Part(weights, element)], Shares((1.0,)), out_directory, provenance=made_of, shard_size=size, force=force
    )
    _written(out_directory, made_of, json)


@with_match_options
def merge(
    a: Model,
    b: ModelB,
    out_directory: Saved,
    permutations: Annotated[Path | None, typer.Option(help="A file that `graphmerge match` wrote.")] = None,
    weight: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of B in the average.")] = 0.5,
    slerp: Annotated[
        bool, typer.Option("--slerp", help="Along the arc between two tensors instead of the chord.")
    ] = False,
    keep: Keep = None,
    keep_from: KeepFrom = 0,
    method: Annotated[MethodName | None, typer.Option(help="Match first, this way.")] = None,
    data: Data = None,
    loss: LossHere = None,
    groups: Groups = None,
    similarity: Similarity = "correlation",
    options: MatchOptions = MatchOptions(),
    spec: Spec = None,
    batches: Batches = 24,
    size: Size = 32,
    length: Length = 64,
    seed: Seed = 0,
    tokenizer: Tokenizer = None,
    device: Device = "auto",
    shard_size: ShardSize = None,
    trust_remote_code: Trust = False,
    allow_different_tokenizers: AnyTokenizer = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Average two models, B permuted onto A; writes a directory that from_pretrained loads."""
    check_new_directory(out_directory, force)
    if (permutations is None) == (method is None):
        raise InputError("say how to align B: --permutations FILE, or --method weights | activations | identity")
    shard_bytes = None if shard_size is None else bytes_in(shard_size)
    patterns = [pattern.strip() for pattern in keep.split(",")] if keep else []
    check_kept(patterns, keep_from, 2)
    shares = Shares((1 - weight, weight), "slerp" if slerp else "linear")
    said: dict[str, Any] = {"command": "merge", "weight": weight, "interpolation": shares.method}
    said["allow_different_tokenizers"] = allow_different_tokenizers
    sampling = Sampling(batches, size, length, seed, tokenizer)
    how = _How(method or "identity", data, loss, groups, similarity, options, spec, sampling, device)
    if method is not None:
        how.check()
    elif options.changed:
        raise InputError(f"{', '.join(options.changed)}: options of matching, and --permutations are matched already")
    if permutations is not None:
        element, named = load_permutations(permutations), str(permutations)
        opened = open_two(a, b, trust_remote_code, allow_different_tokenizers)
    elif method == "identity" and data is None:
        opened = open_two(a, b, trust_remote_code, allow_different_tokenizers)
        element, named = _symmetry(opened[0], spec, trust_remote_code).identity(), PERMUTATIONS
        said |= how.said()
        said["groups taking part"] = []
    else:
        first, second = load_two(a, b, trust_remote_code, allow_different_tokenizers)
        for pattern in patterns:  # refused before the work
            named_tensors(pattern, first.model.state_dict())
        found = how.run(first, second)
        for note in found.notes:
            say(note)
        element, named = found.permutations, PERMUTATIONS
        said |= how.said() | dataclasses.asdict(found.options)
        said["groups taking part"] = list(found.groups)
        opened = [open_weights(model, trust_remote_code=trust_remote_code) for model in (first, second)]
        del first, second  # what stands in files is read from there
    if patterns:
        said |= {"keep": patterns, "keep_from": keep_from}
        shares = dataclasses.replace(shares, kept=kept_keys(patterns, keep_from, opened[0].ties))
    made_of = provenance([weights.loaded for weights in opened], said, named)
    parts = [Part(opened[0]), Part(opened[1], element)]
    write_merged(
        parts,
        shares,
        out_directory,
        provenance=made_of,
        permutations=element,
        shard_size=shard_bytes,
        force=force,
    )
    _written(out_directory, made_of, json)


def _symmetry(opened: Weights, spec: Path | None, trust: bool) -> Symmetry:
    """Of a model in files; it is read whole only if its values decide what is computed."""
    try:
        return symmetry_of(opened.loaded, spec)
    except TraceError:
        return symmetry_of(load_model(opened.loaded.source, trust_remote_code=trust), spec)


def _written(directory: Path, made_of: dict[str, Any], json: bool) -> None:
    if json:
        emit({"directory": str(directory), **made_of})
    else:
        say(f"wrote {directory}")
