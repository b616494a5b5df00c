"""What docs/spec.md shows is what the program reads."""

from __future__ import annotations

import re
from pathlib import Path

from graphmerge.spec import Target, parse_spec
from graphmerge.spec.overrides import parse_overrides

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
