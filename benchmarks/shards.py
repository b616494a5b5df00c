"""The memory that permuting and merging large checkpoints takes, each command in a process of its own.

    python -m benchmarks.shards [--shape llama|mixtral] [--layers N] [--shards 2GB,500MB] [--json]

A model in bfloat16 with random weights is written to a temporary directory, which is removed at the end; three such
models stand there at a time. Files of the Mixtral shape hold the matrices of every expert apart, as published ones do;
its class has them stacked. B is A with a random element applied, so the merge of both with the inverse must give the
bytes of A again. ``peak`` is the largest resident set of the process, as the kernel counts it; ``bound`` is two of the
largest input files, one output file and 300 MB.
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

COMMON = {"num_key_value_heads": 8, "vocab_size": 32000, "tie_word_embeddings": True, "dtype": "bfloat16"}
# name -> class, sizes, layers that make more than 6 GB, bytes of a layer
SHAPES: dict[str, tuple[str, dict[str, int], int, float]] = {
    "llama": ("Llama", {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32}, 17, 0.36e9),
    "mixtral": (
        "Mixtral",
        {"hidden_size": 2048, "intermediate_size": 4096, "num_attention_heads": 16, "num_local_experts": 8},
        15,
        0.43e9,
    ),
}
SPARE = 1.2  # of the disk, beyond the three models


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="llama")
    parser.add_argument("--layers", type=int, help="else as many as make more than 6 GB")
    parser.add_argument("--shards", default="2GB,500MB", help="sizes of files, with commas")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    options = parser.parse_args()
    layers = options.layers or SHAPES[options.shape][2]
    if options.make:
        make(Path(options.make), options.shape, layers, options.shards)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.shards.split(","):
            rows += measured(Path(folder) / size, options.shape, layers, size)
            shutil.rmtree(Path(folder) / size)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print("| command | model | largest file | peak | bound | wall |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row['command']} | {options.shape}, {row['model'] / 1e9:.2f} GB in {row['files']} files "
            f"| {row['largest'] / 1e9:.2f} GB | {row['peak'] / 1e9:.2f} GB | {row['bound'] / 1e9:.2f} GB "
            f"| {row['seconds']:.0f} s |"
        )


def make(folder: Path, shape: str, layers: int, size: str) -> None:
    """Model A with random weights, and a random element of its symmetry; in this process."""
    import torch
    import transformers
    from transformers.core_model_loading import revert_weight_conversion

    import graphmerge as gm
    from graphmerge.checkpoint import bytes_in
    from graphmerge.checkpoint.save import sharded
    from graphmerge.checkpoint.shards import lay_out, write_tensor

    name, sizes, *_ = SHAPES[shape]
    config = getattr(transformers, f"{name}Config")(**COMMON | sizes, num_hidden_layers=layers)
    config.architectures = [f"{name}ForCausalLM"]
    with torch.device("meta"):
        model = getattr(transformers, config.architectures[0])(config).to(torch.bfloat16)
    gm.trace(model).symmetry().random(seed=0).save(folder / "p.safetensors")
    directory = folder / "a"
    config.save_pretrained(directory)
    draw = torch.Generator().manual_seed(0)
    state = {key: tensor for key, tensor in model.state_dict().items() if key != "lm_head.weight"}
    shapes = {key: (t.dtype, tuple(t.shape)) for key, t in revert_weight_conversion(model, state).items()}
    lengths = {key: dtype.itemsize * torch.Size(shape).numel() for key, (dtype, shape) in shapes.items()}
    files = sharded(lengths, bytes_in(size))
    for file, keys in files.items():
        layout = {key: shapes[key] for key in keys}
        for key, place in lay_out(directory / file, layout, {"format": "pt"}).items():
            drawn = torch.empty(shapes[key][1], dtype=torch.bfloat16).normal_(generator=draw)
            write_tensor(place, key, drawn)
    index = {"metadata": {}, "weight_map": {key: file for file, keys in files.items() for key in keys}}
    index["metadata"]["total_size"] = sum(lengths.values())
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def measured(folder: Path, shape: str, layers: int, size: str) -> list[dict[str, Any]]:
    """A row for each command, with files of this size."""
    folder.mkdir()
    needed = 3 * SPARE * layers * SHAPES[shape][3]
    if shutil.disk_usage(folder).free < needed:
        raise SystemExit(f"{folder} has no room for {needed / 1e9:.0f} GB")
    again = ["-m", "benchmarks.shards", "--make", str(folder), "--shape", shape]
    subprocess.run([sys.executable, *again, "--layers", str(layers), "--shards", size], check=True)
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
