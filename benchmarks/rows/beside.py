"""Rows beside mergekit and Torch-Pruning."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open

from benchmarks.rows import peers
from benchmarks.rows.table import Figure, Row
from benchmarks.rows.timing import Spent, alternating, child
from benchmarks.shards import make

LAYERS = 2  # of the Llama shape, which make about 1 GB


def merging(runs: int) -> Row:
    """The mean of two checkpoints of about 1 GB, each tool from its command to the files, beside mergekit."""
    what, program = "mean of two checkpoints", peers.program("mergekit-yaml")
    if program is None:
        return Row(4, what, "mergekit", skipped=peers.MISSING)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make(home, "llama", LAYERS, "2GB")
        a, b, ours, theirs = (str(home / name) for name in ("a", "b", "ours", "theirs"))
        graphmerge = (sys.executable, "-m", "graphmerge")
        child([*graphmerge, "apply", a, str(home / "p.safetensors"), "--out", b])
        recipe = home / "linear.yaml"
        models = [{"model": model, "parameters": {"weight": 0.5}} for model in (a, b)]
        recipe.write_text(json.dumps({"merge_method": "linear", "dtype": "bfloat16", "models": models}))
        commands = {
            "ours": [*graphmerge, "merge", a, b, "--method", "identity", "--out", ours, "--force"],
            "theirs": [program, str(recipe), theirs, "--quiet"],
        }
        found = alternating({name: _apart(command) for name, command in commands.items()}, runs)
        size = sum(file.stat().st_size for file in Path(a).glob("*.safetensors"))
        differ, tensors = _difference(Path(ours), Path(theirs))
    figures = tuple(
        Figure(name, unit, *(tuple(getattr(s, key) / scale for s in found[side]) for side in ("ours", "theirs")), 1.0)
        for name, unit, key, scale in (
            ("wall", "s", "wall", 1), ("cpu", "s", "cpu", 1), ("peak memory", "GB", "peak", 1e9),
        )
    )  # fmt: skip
    note = (
        f"`graphmerge merge --method identity` and mergekit's `linear`, whole commands, imports included; {tensors} "
        f"tensors, of which they differ at most by {differ:g}. Memory is the largest resident set, mapped files "
        "included"
    )
    return Row(4, f"{what} of {size / 1e9:.2f} GB each", peers.version("mergekit"), figures, (note,))


def _apart(command: list[str]) -> Callable[[], Spent]:
    return lambda: child(command, OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")


def _difference(ours: Path, theirs: Path) -> tuple[float, int]:
    """The largest difference of a number between the same tensors of two directories, and how many tensors."""
    where = [
        {key: file for file in sorted(folder.glob("*.safetensors")) for key in _keys(file)} for folder in (ours, theirs)
    ]
    worst, both = 0.0, where[0].keys() & where[1].keys()
    for key in both:
        x, y = (safe_open(place[key], "pt").get_tensor(key) for place in where)
        worst = max(worst, float((x.float() - y.float()).abs().max()))
    return worst, len(both)


def _keys(file: Path) -> list[str]:
    with safe_open(file, "pt") as opened:
        return list(opened.keys())


def groups(runs: int, length: int = 11) -> Row:
    """The groups of BERT-base beside Torch-Pruning's, by `benchmarks.rival`, in this process."""
    what = f"groups of BERT-base, {length} tokens"
    place = peers.packages()
    if place is not None:
        sys.path.append(str(place))  # last, so that all else comes from our own environment
    try:
        from benchmarks.rival import compare
    except ImportError:
        return Row(3, what, "Torch-Pruning", skipped=f"Torch-Pruning is not installed; {peers.MISSING}")
    found = compare(runs, length)
    figures = tuple(
        Figure(clock, "s", tuple(found[clock]["ours"]), tuple(found[clock]["theirs"]), 1.0) for clock in ("wall", "cpu")
    )
    ours, theirs = found["groups"]["ours"], found["groups"]["theirs"]
    note = f"{ours} groups here, heads and what is in them included, {theirs} there"
    return Row(3, what, peers.version("torch-pruning"), figures, (note,))
