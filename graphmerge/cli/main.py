"""The `graphmerge` program: its commands, and one clear sentence where something is wrong."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any

import transformers
import typer

import graphmerge
from graphmerge.cli import align, derive, measure
from graphmerge.cli.common import results_alone, say
from graphmerge.cli.demo import demo
from graphmerge.cli.recipe import run
from graphmerge.cli.sweep import sweep
from graphmerge.errors import GraphMergeError, GraphMergeWarning

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
app.command()(sweep)
app.command()(run)
app.command()(demo)


INTERRUPTED = 130  # the exit code of a program that control-C ended


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


@contextmanager
def _warnings_said(debug: bool) -> Iterator[None]:
    """Our warnings become lines for people; those of others are kept quiet without ``debug``."""
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        warnings.simplefilter("always", GraphMergeWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, GraphMergeWarning):
                say(str(message), "warning", "yellow")
            else:
                others(message, category, *place)

        warnings.showwarning = show
        yield


def main(arguments: list[str] | None = None) -> None:
    """Run one command; exits 0 only if the thing asked for holds."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [g for g in given if g != "--debug"]  # it may stand anywhere
    if not debug:  # results and errors are said once, by us
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
    try:
        with _warnings_said(debug), results_alone() if "--json" in given else nullcontext():
            app(args=given)  # usage errors and interrupts exit with a code of their own
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            say("interrupted; no file was left half-written")
        raise
    except GraphMergeError as error:
        if debug:
            raise
        say(str(error), "error", "red")
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        text = str(error).strip().splitlines()
        say(f"{type(error).__name__}: {text[0] if text else ''} (--debug shows where)", "error", "red")
        sys.exit(1)
