"""Malformed specs with the full text of their errors: what the tests hold the reader to, and docs/errors.md shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Malformed:
    """A file that is wrong, and what is said about it; ``config`` is that of the model that it is read for."""

    text: str
    error: str
    config: Mapping[str, Any] | None = None


CONFIG = {"hidden_size": 8, "num_heads": 3, "hidden_act": "gelu", "head_dim": None}

MALFORMED = (
    Malformed(
        "",
        "1:1: the file is empty; a spec starts with 'graphmerge: 1'",
    ),
    Malformed(
        "graphmerge: [",
        "1:14: not YAML: expected the node content, but found '<stream end>'",
    ),
    Malformed(
        "- graphmerge",
        "1:1: a spec must be a mapping of names to values",
    ),
    Malformed(
        """\
graphmerge: 1
tensors: {}
""",
        "1:1: the spec has no 'groups'; add it",
    ),
    Malformed(
        """\
graphmerge: 2
groups: {d: 4}
tensors: {w: d}
""",
        "1:13: this is version '2' of the notation; 1 is the only one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
group: {}
""",
        "4:1: unknown key 'group'; did you mean 'groups'?",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
groups: {}
""",
        "4:1: 'groups' stands here for the second time (first in line 2); keep one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4, d: 5}
tensors: {w: d}
""",
        "2:16: 'd' stands here for the second time (first in line 2); keep one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d, w: d}
""",
        "3:17: 'w' stands here for the second time (first in line 3); keep one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: many}
tensors: {w: d}
""",
        "2:13: 'many' is no number, and there is no config to look it up in; write the number, or give "
        "the model too: gm.load_spec(path, model)",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 0}
tensors: {w: d}
""",
        "2:13: the size of d must be a whole number of 1 or more, not '0'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: {over: e}}
tensors: {w: d}
""",
        "2:13: d needs a size: {size: 64}",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: {size: 4, sizes: 4}}
tensors: {w: d}
""",
        "2:23: unknown key 'sizes'; did you mean 'size'?",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: {size: 4, kind: rotation}}
tensors: {w: d}
""",
        "2:29: unknown kind 'rotation'; did you mean 'permutation'?",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: {size: 4, pinned: x, kind: rotary}}
tensors: {w: d}
""",
        "2:13: d is pinned: it has a size and a reason, and neither 'over' nor 'kind' nor 'is'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: {size: 4, over: e}}
tensors: {w: d}
""",
        "2:29: no group is called 'e'; declare it under 'groups'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: {size: 4, over: e}, e: {size: 4, over: d}}
tensors: {w: d}
""",
        "2:29: groups are over each other (d over e over d); take one 'over' away",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {c: 2, d: {size: 4, over: c}, e: {size: 4, over: d}}
tensors: {w: (c d e)}
""",
        "2:58: 'd' is over 'c', so 'e' must be over that too",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4, e: 5}
tensors: {w: d}
""",
        "2:16: no tensor names 'e'; name it under 'tensors' or remove it",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4, e: {size: 5, pinned: x}}
tensors: {w: d}
""",
        "2:16: no tensor names 'e'; name it under 'tensors' or remove it",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: _ e}
""",
        "3:16: no group is called 'e'; declare it under 'groups'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: '_ e'}
""",
        "3:17: no group is called 'e'; declare it under 'groups'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors:
  v: d
  w: _ (d
""",
        "5:8: this '(' is never closed; end it with ')'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: ''}
""",
        "3:14: w needs its axes, such as '_ residual'; leave out what has none",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: {x: d}}
""",
        "3:14: the axes of w must be text, or a list of blocks",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4, e: {size: 2, over: d}}
tensors: {v: d, w: e}
""",
        "3:20: 'e' is over 'd', which does not stand in the same block; write (d e)",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: [{rows: 0..3}]}
""",
        "3:15: a block needs its axes: {rows: 0..15, axes: a b}",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: [{rows: 0-3, axes: d}]}
""",
        "3:22: 'rows' must be a range like 0..11, both ends included, not '0-3'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: [{row: 0..3, axes: d}]}
""",
        "3:16: unknown key 'row'; did you mean 'rows'?",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: [{rows: 0..4, axes: d}]}
""",
        "3:34: the first axis has 4 units, but 'rows' has 5; they must agree",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: [{rows: 0..3, axes: d d}, {rows: 4..7, axes: d _5}]}
""",
        "3:59: axis 1 has 5 units here and 4 in the blocks before; they must agree",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: [{rows: 0..3, axes: d d}, {rows: 4..7, axes: d}]}
""",
        "3:59: this block has 1 axes, the one before 2; they must agree",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: [{rows: 0..3, axes: d}, {rows: 3..6, axes: d}]}
""",
        "3:38: this block and the one of [0..3] as 4 have units in common; cut one back",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
repeat: {l: 3}
""",
        "4:13: the range of l must be a range like 0..11, both ends included, not '3'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
repeat: {l: 3..0}
""",
        "4:13: the range of l must be a range like 0..11, both ends included, not '3..0'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
repeat: {2: 0..3}
""",
        "4:10: '2' is no letter; use one like l, or a word",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
repeat: {l: 0..3}
""",
        "4:10: nothing uses {l}; remove it",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors:
  w.{l}: d
""",
        "4:3: {l} is not declared; add l: 0..11 under 'repeat'",
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d: 4
  e.{l}: 3
tensors:
  v: d
  w: e.{l}
repeat: {l: 0..1}
""",
        "7:3: 'w' stands here for the second time (first in line 7); keep one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: {}
""",
        "4:9: 'pinned' must be a list",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{axes: ['w[0] _4']}]
""",
        "4:10: a pin has either 'pin' (a name under 'groups') or 'reason'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{reason: x}]
""",
        "4:10: a pin without a name needs 'axes'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{reason: x, axes: [w]}]
""",
        "4:29: 'w' is no axis; write it like lm_head.weight[0] _32000",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{reason: x, axes: ['w[0] _']}]
""",
        "4:35: one axis with the sizes of its parts is wanted here, such as _32000 or (32 _64)",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{reason: x, axes: ['w[0] d']}]
""",
        "4:35: 'd' is no size; write _64 for pinned units and 64 for others",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{reason: x, axes: ['w[0] _5']}]
""",
        "4:29: this reaches to unit 4, but the axis has 4 units under 'tensors'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{reason: x, axes: ['w[1] _5']}]
""",
        "4:29: w has 1 axes, so none is numbered 1; count from 0",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{pin: d}]
""",
        "4:16: no pinned leaf is called 'd'; declare it under 'groups' as {size: 12, pinned: why}",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
pinned: [{reason: x, each: l, axes: ['w[0] _4']}]
""",
        "4:28: the letter 'l' is not declared; add l: 0..11 under 'repeat'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4, p: {size: 2, pinned: x}}
tensors: {w: (d p)}
pinned: [{pin: p}, {pin: p}]
""",
        "4:20: 'p' is listed twice under 'pinned'; keep one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4, p: {size: 2, pinned: x}}
tensors: {w: (d p)}
pinned: [{pin: p, size: 2}]
""",
        "4:25: the size of 'p' stands under 'groups'; remove it here",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
notes: none
""",
        "4:8: 'notes' must be a list",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {residual: 4}
tensors: {w: _ residul}
""",
        "3:16: no group is called 'residul'; did you mean 'residual'?",
    ),
    Malformed(
        """\
graphmerge: 1
sizes: {d: hiden_size}
groups: {residual: d}
tensors: {w: residual}
""",
        "2:12: the config has no 'hiden_size'; did you mean 'hidden_size'?",
        CONFIG,
    ),
    Malformed(
        """\
graphmerge: 1
groups: {residual: hidden_size}
tensors: {w: residual}
""",
        "2:20: 'hidden_size' is no number, and there is no config to look it up in; write the number, "
        "or give the model too: gm.load_spec(path, model)",
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  residual: hidden_size / num_heads
tensors: {w: residual}
""",
        "3:13: hidden_size / num_heads is 2.66667, which is no whole number",
        CONFIG,
    ),
    Malformed(
        """\
graphmerge: 1
groups: {residual: hidden_size *}
tensors: {w: residual}
""",
        "2:33: expected a number or a setting of the config here",
        CONFIG,
    ),
    Malformed(
        """\
graphmerge: 1
groups: {residual: hidden_act}
tensors: {w: residual}
""",
        "2:20: 'hidden_act' is 'gelu' in the config, which is no number",
        CONFIG,
    ),
    Malformed(
        """\
graphmerge: 1
groups: {residual: head_dim}
tensors: {w: residual}
""",
        "2:20: the config leaves head_dim open; write the number",
        CONFIG,
    ),
    Malformed(
        """\
graphmerge: 1
groups: {residual: hidden_size - 8}
tensors: {w: residual}
""",
        "2:20: the size of residual must be a whole number of 1 or more, not 'hidden_size - 8' (which is 0)",
        CONFIG,
    ),
    Malformed(
        """\
graphmerge: 1
sizes: {2d: 8}
groups: {d: 4}
tensors: {w: d}
""",
        "2:9: '2d' is no name of a size; use letters, digits and _",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
repeat: {l: [0, 1, 0]}
""",
        "4:13: l stands for 0 twice; keep one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
repeat: {l: [a b]}
""",
        "4:14: l stands for numbers, ranges like 0..3 and words, not 'a b'",
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d.{l}: 4
tensors:
  w.{l}: d.{l}
repeat: {l: 0..999999}
""",
        """\
3:3: this stands for 1,000,000 entries; at most 200,000 are read
5:3: this stands for 1,000,000 entries; at most 200,000 are read""",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d, v: = x}
""",
        "3:20: 'x' has no entry of its own; name one that has axes",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {embed: d, head: = embd}
""",
        "3:27: 'embd' has no entry of its own; did you mean 'embed'?",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d, v: = u, u: = w}
""",
        "3:20: 'u' is itself another's name; name one that has axes",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors:
  w: d
  v: = 
""",
        "5:6: '=' needs the name of the tensor that this one is: = model.embed_tokens.weight",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d, "w?": d}
""",
        "3:17: 'w' is there with and without '?'; keep one",
    ),
    Malformed(
        """\
graphmerge: 1
groups: &a {d: 4}
tensors: {w: d}
""",
        "2:9: not YAML: anchors (&) and aliases (*) are not part of a spec; write it out",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: *a}
tensors: {w: d}
""",
        "2:13: not YAML: anchors (&) and aliases (*) are not part of a spec; write it out",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d}
notes: [[[[[[[[[[[[]]]]]]]]]]]]
""",
        "4:15: not YAML: more than 8 levels deep; a spec needs fewer",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: [4]}
tensors: {w: d}
""",
        "2:13: d must be a size, such as 64, or {size: 64, over: heads}",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: {size: 4, over: [e, f]}}
tensors: {w: d}
""",
        "2:30: no group is called 'e'; declare it under 'groups'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d) d}
""",
        "3:15: this ')' closes nothing; remove it",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d (d + d d)}
""",
        "3:19: a sum in a product needs parentheses of its own: (a (b + c)) or (a b) + c",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: d d/}
""",
        "3:17: cannot read '/'; axes are written with names, '_', '+' and '( )'",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4}
tensors: {w: (d _)}
""",
        "3:17: a part of an axis needs its size: write '_3' for 3 fixed units",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {p: 6}
tensors: {w: p/0:3}
""",
        "3:14: the parts of 'p' make 3 of its 6 units",
    ),
    Malformed(
        """\
graphmerge: 1
groups: {h: 2, v: {size: 3, over: h}}
tensors: {w: (h v@3)}
""",
        "3:17: v@3 asks for number 3 of the factors 'h', but there are 1 in this block; count from 1",
    ),
    Malformed(
        """\
graphmerge: 1
model: Tiny
repeat: {l: 0..1}
groups:
  residual: none
  layers.{l}.ffn: 5
  layers.{k}.v: {size: 2, over: layers.{l}.hedas}
tensors:
  embed: _ residual
  up.{l}: layers.{l}.fnn residual
  down.{l}: residual (layers.{l}.ffn
  bias.{l}: layers.{l}.ffn
""",
        """\
5:13: 'none' is no number, and there is no config to look it up in; write the number, or give the model too: gm.load_spec(path, model)
7:3: {k} is not declared; add k: 0..11 under 'repeat'
10:11: no group is called 'layers.0.fnn'; did you mean 'layers.0.ffn'?
11:22: this '(' is never closed; end it with ')'""",
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d: hidden_size
  head: {size: hidden_size, is: d}
tensors: {w: d, v: head}
""",
        "4:33: 'd' must be a group and a setting, as in residual if tie_word_embeddings",
        {"hidden_size": 8, "tied": True, "vocab": 9},
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d: hidden_size
  head: {size: hidden_size, is: d if tide}
tensors: {w: d, v: head}
""",
        "4:38: 'tide' is not in the config; did you mean 'tied'?",
        {"hidden_size": 8, "tied": True, "vocab": 9},
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d: hidden_size
  head: {size: hidden_size, is: d if vocab}
tensors: {w: d, v: head}
""",
        "4:38: 'vocab' is '9' in the config, which is neither true nor false",
        {"hidden_size": 8, "tied": True, "vocab": 9},
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d: hidden_size
  head: {size: hidden_size, is: e if tied}
tensors: {w: d, v: head}
""",
        "4:33: no group is called 'e'; declare it under 'groups'",
        {"hidden_size": 8, "tied": True, "vocab": 9},
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d: hidden_size
  head: {size: hidden_size, is: head if tied}
tensors: {w: d, v: head}
""",
        "4:33: 'head' must be a group that moves and has no 'is' of its own",
        {"hidden_size": 8, "tied": True, "vocab": 9},
    ),
    Malformed(
        """\
graphmerge: 1
groups:
  d: hidden_size
  head: {size: vocab, is: d if tied}
tensors: {w: d, v: head}
""",
        "4:27: head and d have different sizes or bases; they cannot be one",
        {"hidden_size": 8, "tied": True, "vocab": 9},
    ),
    Malformed(
        """\
graphmerge: 1
groups: {d: 4, e: {size: 4, is: d if tied}}
tensors: {w: d e}
""",
        "2:33: whether tied holds is said by a config; give the model too: gm.load_spec(path, model)",
    ),
)
