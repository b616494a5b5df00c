"""Commands about one model and its spec: trace, spec (derive, check, diff, schema), verify, certify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from graphmerge.certificate import certify as run_certification
from graphmerge.checkpoint import load_model
from graphmerge.cli.common import (
    MODEL_HELP,
    ConfigOnly,
    Force,
    Json,
    Model,
    Seed,
    Spec,
    Trust,
    check_new,
    emit,
    graph_of,
    load_shape,
    progress,
    say,
    show,
    symmetry_of,
)
from graphmerge.compare import check as run_check
from graphmerge.compare import compare
from graphmerge.errors import InputError
from graphmerge.files import write_beside
from graphmerge.report import (
    certificate_data,
    certificate_report,
    comparison_data,
    comparison_report,
    symmetry_data,
    symmetry_report,
    to_json,
    verification_data,
    verification_report,
)
from graphmerge.resolve import load_spec
from graphmerge.spec import spec_schema
from graphmerge.verify import verify as run_verification

spec_app = typer.Typer(no_args_is_help=True, help="Permutation specs: YAML files that name every group and axis.")


def trace(
    model: Model,
    explain: Annotated[
        str | None, typer.Option(help="Say why the axes of a group (or tensor, or tensor[axis]) are tied or pinned.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at an op without a rule.")] = False,
    config_only: ConfigOnly = False,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Derive the groups of a model and show them, with what is pinned and why."""
    graph = graph_of(load_shape(model, trust_remote_code, config_only), strict)
    if explain is not None:
        text = graph.explain(explain)
        show(Text(text), {"name": explain, "explanation": text}, json)
        return
    symmetry = graph.symmetry()
    show(symmetry_report(symmetry), symmetry_data(symmetry), json)


@spec_app.command("derive")
def derive(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="The YAML file to write.")],
    config_only: ConfigOnly = False,
    trust_remote_code: Trust = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Derive the groups of a model and write them as a YAML spec."""
    check_new(out, force)
    symmetry = graph_of(load_shape(model, trust_remote_code, config_only)).symmetry()
    symmetry.to_yaml(out)
    if json:
        emit({"spec": str(out), "groups": len(symmetry.groups)})
    else:
        say(f"wrote {out}: {len(symmetry.groups)} groups")


SpecFile = Annotated[
    Path, typer.Argument(help="A permutation spec (YAML), or the name of a packaged one.", show_default=False)
]


@spec_app.command("check")
def check(
    spec: SpecFile,
    model: Model,
    config_only: ConfigOnly = False,
    seed: Seed = 0,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Compare a spec with what is derived from a model, by meaning; exits 1 if the spec is unsound.

    Three lists: missing ties and wrong ties, each with the error that it causes, and freedom that the spec leaves out.
    """
    loaded = load_shape(model, trust_remote_code, config_only)
    found = run_check(
        loaded.model, load_spec(spec, loaded.model, loaded.example_inputs), loaded.example_inputs, seed=seed
    )
    show(comparison_report(found, (str(spec), "what is derived")), comparison_data(found), json)
    if not found.sound and all(tie.error is None for tie in (*found.missing_ties, *found.wrong_ties)):
        say("errors are measured on a model with weights", "note")
    if not found.sound:
        raise typer.Exit(1)


@spec_app.command("diff")
def diff(
    a: SpecFile,
    b: Annotated[Path, typer.Argument(help="The spec that it is compared with.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help=f"The model that both are for, where sizes come from its config. {MODEL_HELP}")
    ] = None,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Compare two specs by meaning: names, order and pins do not count; exits 1 if they differ."""
    loaded = None if model is None else load_shape(model, trust_remote_code, config_only=False).model
    found = compare(load_spec(a, loaded), load_spec(b, loaded))
    show(comparison_report(found, (str(a), str(b))), comparison_data(found), json)
    if not found.equal:
        raise typer.Exit(1)


@spec_app.command("schema")
def schema(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file to write in place of printing.")] = None,
    force: Force = False,
) -> None:
    """The JSON Schema of spec files, for editors that complete and check YAML."""
    if out is None:
        emit(spec_schema())
        return
    check_new(out, force)
    with write_beside(out) as beside:
        beside.write_text(to_json(spec_schema()), encoding="utf-8")
    say(f"wrote {out}")


def verify(
    model: Model,
    spec: Spec = None,
    kinds: Annotated[
        bool, typer.Option("--kinds", help="Try random maps of each group's kind too, and of the kinds that come next.")
    ] = False,
    shrunk: Annotated[
        bool,
        typer.Option("--shrunk", help="On a tiny copy of the same config, which must have the same groups."),
    ] = False,
    config_only: ConfigOnly = False,
    seed: Seed = 0,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Prove the groups on random weights in float64; exits 1 if any of them changes an output.

    A model without weights is verified on a tiny copy of the same config, as with --shrunk.
    """
    loaded = load_shape(model, trust_remote_code, config_only)
    symmetry = symmetry_of(loaded, spec)
    options: dict[str, Any] = {"seed": seed, "kinds": kinds, "shrunk": shrunk or None}
    with progress("verifying") as tick:
        found = run_verification(loaded.model, symmetry, loaded.example_inputs, progress=tick, **options)
    show(verification_report(found), verification_data(found), json)
    if not found.ok:
        raise typer.Exit(1)


def certify(
    model: Model,
    spec: Spec = None,
    config_only: ConfigOnly = False,
    seed: Seed = 0,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Count exactly how many permutations there are, and prove that none was missed; exits 1 unless that is proved.

    A large Hugging Face model is certified on a copy made small. A spec is held against the model as it is.
    """
    if spec is not None and config_only:
        raise InputError("a spec is held against the model as it is, which needs more than its config")
    loaded = (
        load_shape(model, trust_remote_code, config_only)
        if spec is None
        else load_model(model, trust_remote_code=trust_remote_code)
    )
    symmetry = None if spec is None else load_spec(spec, loaded.model, loaded.example_inputs)
    found = run_certification(loaded.model, loaded.example_inputs, symmetry, seed=seed)
    show(certificate_report(found), certificate_data(found), json)
    if found.complete is not True:
        raise typer.Exit(1)
