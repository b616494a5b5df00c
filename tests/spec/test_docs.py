"""What docs/spec.md shows is what the program reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

import graphmerge as gm
from graphmerge.spec import Target, parse_spec, spec_text
from graphmerge.spec.overrides import parse_overrides
from tests.cli.test_commands import run
from tests.resolve.test_override import IDS, Mirrored
from tests.spec.tiny_families import tiny

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CONFIG = {"hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 2, "head_dim": None}


def test_the_example_is_read():
    symmetry = parse_spec(BLOCKS[0], "spec.md", Target(CONFIG))
    assert [(g.name, g.size, g.over) for g in symmetry.groups] == [
        ("residual", 12, ()),
        *(
            group
            for k in (0, 1)
            for group in (
                (f"layers.{k}.heads", 3, ()),
                (f"layers.{k}.v", 4, (f"layers.{k}.heads",)),
                (f"layers.{k}.ffn", 48, ()),
            )
        ),
    ]
    assert symmetry.layout["head.weight"] == symmetry.layout["embed.weight"]


def test_blocks_and_pins_are_read():
    inner = "qk: {size: 64, over: heads}, v: {size: 64, over: heads}"
    head = f"graphmerge: 1\ngroups: {{heads: 8, {inner}, decoder: 4, encoder: 4}}\ntensors:\n"
    blocks = parse_spec(head + BLOCKS[2])
    assert blocks.shapes == {"cross.in_proj_weight": (1536, 4)}
    pins = parse_spec("graphmerge: 1\nrepeat: {l: 0..1}\ngroups: {d: 4}\ntensors: {w: d}\n" + BLOCKS[3])
    assert [pin.axes[0].tensor for pin in pins.pinned] == ["layers.0.query.weight", "layers.1.query.weight"]


def test_the_override_is_read():
    overrides = parse_overrides(BLOCKS[1])
    assert [pattern.text for pattern in overrides.pin] == ["layers.*.heads"]
    assert [len(patterns) for patterns in overrides.tie] == [2, 1]
    assert [str(axis) for axis in overrides.release[0].axes] == ["up.weight[0]", "down.weight[1]"]
    assert overrides.rename[0][1] == "blocks.{l}.heads"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_is_run():
    assert len(BLOCKS) == 5
    assert PAGE.count("```") == 2 * (len(BLOCKS) + 1)  # and one of Python


def test_the_lines_of_python_run(here):
    model = tiny("bert")
    gm.trace(model).symmetry().to_yaml(here / "tiny.yaml")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {"gm": gm, "model": model})
    assert gm.compare(gm.load_spec("again.yaml", model), gm.load_spec("tiny.yaml", model)).equal


def test_the_commands_run(here, capsys):
    tiny("bert").save_pretrained(here / "MODEL")
    capsys.readouterr()
    commands = [line.split("#")[0].split() for line in PAGE.splitlines() if line.startswith("    graphmerge ")]
    assert [command[2] for command in commands] == ["derive", "check", "diff", "schema"]
    for name in ("a.yaml", "b.yaml"):
        gm.trace(tiny("bert")).symmetry().to_yaml(here / name)
    for _, *command in commands:
        command, into = command[: command.index(">")] if ">" in command else command, command
        code, out, err = run(capsys, *command)
        assert code == 0, err
        if ">" in into:
            (here / into[-1]).write_text(out)
    assert '"$schema"' in (here / "spec.schema.json").read_text()


def test_the_override_is_carried_out(here):
    text, release = BLOCKS[1], re.search(r"release:\n.*\n", BLOCKS[1])
    assert release is not None
    (here / "short.yaml").write_text(text.replace(release[0], ""))
    model = tiny("bert")
    symmetry = gm.load_spec("short.yaml", model)
    assert [g.name for g in symmetry.groups] == ["residual", "layers.0.qk", "layers.0.ffn", "layers.1.qk"]
    assert symmetry["layers.1.qk"].over == ("blocks.1.heads",)
    assert gm.verify(model, symmetry).ok
    (here / "short.yaml").write_text(f"graphmerge: 1\nderive: true\n{release[0]}")
    assert "ffn" in gm.load_spec("short.yaml", Mirrored().eval(), IDS).by_name


def test_the_derived_spec_is_what_is_derived():
    with torch.device("meta"):
        model = BertForMaskedLM(BertConfig()).eval()
    found = gm.trace(model).symmetry()
    assert spec_text(found) == BLOCKS[4]
    assert f"in these {len(BLOCKS[4].splitlines())} lines" in PAGE
    notes = BLOCKS[4].splitlines().index("notes:")
    assert f"no notes, and it is {notes} lines" in PAGE
    assert parse_spec(BLOCKS[4]) == found
