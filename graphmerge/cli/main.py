"""The `graphmerge` program: its commands, and one clear sentence where something is wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import transformers
import typer
from rich.markup import escape

import graphmerge
from graphmerge.cli import align, derive, measure
from graphmerge.cli.common import say
from graphmerge.cli.demo import demo
from graphmerge.errors import GraphMergeError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Derive the permutation symmetries of any traced Transformer, prove them, and use them to merge models.",
)
app.command()(derive.trace)
app.add_typer(derive.spec_app, name="spec")
app.command()(derive.verify)
app.command()(derive.certify)
app.command()(align.match)
app.command()(align.apply)
app.command()(align.merge)
app.command("eval")(measure.eval_)
app.command()(measure.barrier)
app.command()(demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graphmerge {graphmerge.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of all commands."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command; exits 0 only if the thing asked for holds."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [g for g in given if g != "--debug"]  # it may stand anywhere
    if not debug:  # results and errors are said once, by us
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
    try:
        app(args=given)  # usage errors and interrupts exit with a code of their own
    except GraphMergeError as error:
        if debug:
            raise
        say(f"[red]error:[/] {escape(str(error))}")
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        text = str(error).strip().splitlines()
        say(f"[red]error:[/] {type(error).__name__}: {escape(text[0] if text else '')} (--debug shows where)")
        sys.exit(1)
