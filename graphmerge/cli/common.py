"""What the commands share: options, consoles, progress, and where results go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from graphmerge.checkpoint import Loaded, Weights, check_pair, check_target, load_model, open_weights
from graphmerge.data import DRAWS, Sampling, load_data
from graphmerge.errors import InputError
from graphmerge.graph import ConstraintGraph, trace
from graphmerge.report import to_json
from graphmerge.resolve import load_spec
from graphmerge.symmetry import Permutations, Symmetry

MODEL_HELP = "A Hugging Face directory or id, or file.py:factory (a function without arguments; the file is run)."
Model = Annotated[str, typer.Argument(help=MODEL_HELP, show_default=False)]
ModelB = Annotated[str, typer.Argument(help="The other model, of the same architecture.", show_default=False)]
Spec = Annotated[
    Path | None,
    typer.Option(
        help="Take the groups from this YAML spec instead of tracing, or from a packaged one: its name, or 'packaged'."
    ),
]
Data = Annotated[
    str | None,
    typer.Option(help="Batches: .txt, .npy (token ids), .jsonl (text, label), or file.py:function that returns them."),
]
Batches = Annotated[int, typer.Option(min=1, help="How many batches to take from the data.")]
Size = Annotated[int, typer.Option(min=1, help="Rows in a batch.")]
Length = Annotated[int, typer.Option(min=2, help="Tokens in a row.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn at random.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ..., or auto.")]
Tokenizer = Annotated[
    Path | None, typer.Option(help="Directory of the tokenizer that reads the data, if not the model's own.")
]
Loss = Annotated[
    str | None,
    typer.Option(help="file.py:function of (model, batch), which returns the mean loss or (sum, count)."),
]
Draw = Annotated[str, typer.Option(help="Rows of a text: random windows, or blocks, one after the other.")]
Metrics = Annotated[
    str,
    typer.Option(help="Measure these too: accuracy, f1, perplexity ...; glue:mrpc for a task's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists already.")]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with a checkpoint.")]
ConfigOnly = Annotated[
    bool,
    typer.Option(
        "--config-only", help="Build the model from its config.json alone, as is done where there are no weights."
    ),
]
ShardSize = Annotated[
    str | None, typer.Option(help="How large a file of weights may be, as in 2GB. Default: the files of the model.")
]
AnyTokenizer = Annotated[
    bool, typer.Option("--allow-different-tokenizers", help="Merge although the tokenizers differ.")
]

# piped output is not folded at the 80 columns of no terminal
out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)
_RESULTS: ContextVar[TextIO | None] = ContextVar("_RESULTS", default=None)


@contextmanager
def results_alone() -> Iterator[None]:
    """Standard output is kept for `emit`: what the code of a user or a checkpoint prints goes to standard error."""
    kept = _RESULTS.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _RESULTS.reset(kept)


def emit(data: Any) -> None:
    """Print data as JSON on standard output."""
    typer.echo(to_json(data), nl=False, file=_RESULTS.get())


def show(drawn: RenderableType, data: Any, as_json: bool) -> None:
    """Print a result: as JSON (and nothing else) or as rich draws it."""
    if as_json:
        emit(data)
    else:
        out.print(drawn)


def say(text: str, label: str = "", style: str = "") -> None:
    """A line for people, on standard error, so that standard output stays the result."""
    err.print(Text.assemble((f"{label}: ", style), text) if label else Text(text), soft_wrap=True)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; the function takes (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def sampling_of(batches: int, size: int, length: int, seed: int, tokenizer: Path | None, draw: str) -> Sampling:
    """How to draw batches, as the options say.

    Raises:
        InputError: there is no such way to draw rows.
    """
    for known in DRAWS:
        if draw == known:
            return Sampling(batches, size, length, seed, tokenizer, known)
    raise InputError(f"--draw takes {' or '.join(DRAWS)}, not {draw!r}")


def load_shape(model: str, trust: bool, config_only: bool) -> Loaded:
    """A model whose weights do not matter: from its config alone where it has none, or where that is asked for."""
    loaded = load_model(model, trust_remote_code=trust, config_only=config_only or None)
    if any(p.is_meta for p in loaded.model.parameters()):
        say(f"{model} is built from its config alone, without weights", "note")
    return loaded


def load_two(a: str, b: str, trust: bool, any_tokenizer: bool) -> tuple[Loaded, Loaded]:
    """Both models, checked against each other."""
    first, second = (load_model(m, trust_remote_code=trust) for m in (a, b))
    _check_two(first, second, any_tokenizer)
    return first, second


def open_two(a: str, b: str, trust: bool, any_tokenizer: bool) -> list[Weights]:
    """Both models, checked against each other; what stands in files is not read yet."""
    first, second = (open_weights(m, trust_remote_code=trust) for m in (a, b))
    _check_two(first.loaded, second.loaded, any_tokenizer)
    return [first, second]


def _check_two(first: Loaded, second: Loaded, any_tokenizer: bool) -> None:
    check_pair(
        first.model,
        second.model,
        tokenizers=(first.tokenizer, second.tokenizer),
        allow_different_tokenizers=any_tokenizer,
        names=(first.source, second.source),
    )


def graph_of(model: Loaded, strict: bool = False) -> ConstraintGraph:
    """The constraint graph of a model that was read."""
    return trace(model.model, model.example_inputs, strict=strict)


def symmetry_of(model: Loaded, spec: Path | None) -> Symmetry:
    """From the spec if one is given, else derived."""
    return graph_of(model).symmetry() if spec is None else load_spec(spec, model.model, model.example_inputs)


def data_for(model: Loaded, source: str | None, sampling: Sampling, why: str) -> list[Any]:
    """The batches, or one sentence that says why they are needed."""
    if source is None:
        raise InputError(f"{why} needs data: give --data (.txt, .npy, .jsonl or file.py:function)")
    return load_data(source, model, sampling)


def load_permutations(path: Path) -> Permutations:
    """A file of permutations; it is said if they change the function."""
    found = Permutations.load(path)
    for reason in found.symmetry.unsound:
        say(f"{path} does not preserve the function: {reason}", "warning", "yellow")
    return found


def check_new(path: Path, force: bool) -> None:
    """Refuse to replace a file, before the work is done."""
    if path.exists() and not force:
        raise InputError(f"{path} exists; give another name, or --force to replace it")
    if path.is_dir():
        raise InputError(f"{path} is a directory; name a file to write")


def check_new_directory(path: Path, force: bool) -> None:
    """Refuse to replace a directory (with ``force``, one that is no model), before the work is done."""
    if path.exists() and not force:
        raise InputError(f"{path} exists; give another name, or --force to replace it")
    check_target(path, force)
