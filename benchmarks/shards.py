"""The memory that permuting and merging large checkpoints takes, each command in a process of its own.

    python -m benchmarks.shards [--layers 17] [--shards 2GB,500MB] [--json]

A Llama shape in bfloat16 with random weights (6.3 GB with 17 layers) is written to a temporary directory, which is
removed at the end; three such models stand there at a time. B is A with a random element applied, so the merge of both
with the inverse must give the bytes of A again. ``peak`` is the largest resident set of the process, as the kernel
counts it; ``bound`` is two of the largest input files, one output file and 300 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZES = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "vocab_size": 32000}
SPARE = 1.2  # of the disk, beyond the three models


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=17)
    parser.add_argument("--shards", default="2GB,500MB", help="sizes of files, with commas")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(Path(options.make), options.layers, options.shards)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.shards.split(","):
            rows += measured(Path(folder) / size, options.layers, size)
            shutil.rmtree(Path(folder) / size)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print("| command | model | largest file | peak | bound | wall |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row['command']} | {row['model'] / 1e9:.2f} GB in {row['files']} files | {row['largest'] / 1e9:.2f} GB "
            f"| {row['peak'] / 1e9:.2f} GB | {row['bound'] / 1e9:.2f} GB | {row['seconds']:.0f} s |"
        )


def make(folder: Path, layers: int, size: str) -> None:
    """Model A with random weights, and a random element of its symmetry; in this process."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    import graphmerge as gm
    from graphmerge.checkpoint import bytes_in
    from graphmerge.checkpoint.save import sharded
    from graphmerge.checkpoint.shards import write_shard

    config = LlamaConfig(
        **SIZES, num_hidden_layers=layers, num_key_value_heads=8, tie_word_embeddings=True, dtype="bfloat16"
    )
    config.architectures = ["LlamaForCausalLM"]
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    gm.trace(model).symmetry().random(seed=0).save(folder / "p.safetensors")
    directory = folder / "a"
    config.save_pretrained(directory)
    draw = torch.Generator().manual_seed(0)
    shapes = {k: (t.dtype, tuple(t.shape)) for k, t in model.state_dict().items() if k != "lm_head.weight"}
    lengths = {name: dtype.itemsize * torch.Size(shape).numel() for name, (dtype, shape) in shapes.items()}
    files = sharded(lengths, bytes_in(size))
    for file, names in files.items():
        layout = {name: shapes[name] for name in names}
        write_shard(
            directory / file,
            layout,
            {"format": "pt"},
            lambda name: torch.empty(shapes[name][1], dtype=torch.bfloat16).normal_(generator=draw),
        )
    index = {"metadata": {}, "weight_map": {name: file for file, names in files.items() for name in names}}
    index["metadata"]["total_size"] = sum(lengths.values())
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def measured(folder: Path, layers: int, size: str) -> list[dict[str, Any]]:
    """A row for each command, with files of this size."""
    folder.mkdir()
    needed = 3 * SPARE * layers * 0.42e9
    if shutil.disk_usage(folder).free < needed:
        raise SystemExit(f"{folder} has no room for {needed / 1e9:.0f} GB")
    again = ["-m", "benchmarks.shards", "--make", str(folder), "--layers", str(layers), "--shards", size]
    subprocess.run([sys.executable, *again], check=True)
    a, b, p, out = (str(folder / name) for name in ("a", "b", "p.safetensors", "out"))
    apply = ("apply", a, p, "--out", b, "--inverse")
    merge = ("merge", a, b, "--permutations", p, "--out", out)
    rows = [{"command": command[0], **_run(*command), **_sizes(Path(a))} for command in (apply, merge)]
    from graphmerge.checkpoint import digest

    assert digest(a) == digest(out) != digest(b), "the merge of A with a permuted A is not A"
    return [row | {"bound": 3 * row["largest"] + 300e6} for row in rows]


def _run(*command: str) -> dict[str, float]:
    """One command of graphmerge in a process of its own: its peak in bytes, and its seconds."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "graphmerge", *command])
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"graphmerge {command[0]} failed")
    return {"peak": used.ru_maxrss * 1024, "seconds": time.perf_counter() - start}


def _sizes(directory: Path) -> dict[str, int]:
    sizes = [file.stat().st_size for file in directory.glob("*.safetensors")]
    return {"model": sum(sizes), "files": len(sizes), "largest": max(sizes)}


if __name__ == "__main__":
    main()
