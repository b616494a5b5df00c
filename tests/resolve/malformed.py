"""Malformed changes of what is derived, with the full text of their errors, as docs/errors.md shows them.

They are read for `tiny("bert")`. Of numbers that were measured the tests hold no more than the size.
"""

from __future__ import annotations

from tests.spec.malformed import Malformed

MALFORMED_OVERRIDES = (
    Malformed(
        """\
graphmerge: 1
derive: no
pin: [residual]
""",
        "2:9: 'derive' is true, for a spec that changes what is derived; "
        "one that says everything itself has 'groups' and 'tensors' in its place",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
groups: {residual: 15}
tensors: {}
""",
        """\
3:1: unknown key 'groups'; a spec may have graphmerge, derive, model, pin, tie, release, rename
4:1: unknown key 'tensors'; a spec may have graphmerge, derive, model, pin, tie, release, rename""",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
pins: [residual]
""",
        "3:1: unknown key 'pins'; did you mean 'pin'?",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
pin: {residual: true}
""",
        "3:6: 'pin' is a name or a list of names, as in [a, b]",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
pin: layers.0.fnn
""",
        "3:6: no group is called 'layers.0.fnn'; did you mean 'layers.0.ffn'?",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
pin: [nothing]
""",
        "3:7: no group is called 'nothing'; the groups are "
        "residual, layers.0.heads, layers.0.qk, layers.0.v, layers.0.ffn, layers.1.heads ...",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
pin: ['layers.{l}.{l}']
""",
        "3:7: no group is called 'layers.{l}.{l}'; did you mean 'layers.1.v'?",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
pin: ['*.{l}.*.*.*.ffn']
""",
        "3:7: a name has at most 4 letters such as {l}, and 3 * beside them",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
tie: [[layers.0.ffn, residual]]
""",
        "3:8: layers.0.ffn has 7 units, residual has 15; they cannot be tied",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
tie: [layers.*.qk]
""",
        "3:7: layers.0.qk is over layers.0.heads, layers.1.qk is over layers.1.heads; tie those first, or leave it",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
tie: [layers.0.ffn]
""",
        "3:7: a tie needs two names, as in [layers.0.ffn, layers.1.ffn], or one with a *",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
tie: {layers.0.ffn: layers.1.ffn}
""",
        "3:6: 'tie' is a list, each entry the names of what shall be one: [[layers.0.qk, layers.0.v]]",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
tie: [['layers.{l}.qk', layers.0.v]]
""",
        "3:7: names that are tied must have the same letters: [layers.{l}.qk, layers.{l}.v]",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
tie: [[[layers.0.qk]]]
""",
        "3:8: a name under 'tie' must be text",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: bert.pooler[0]}
""",
        "3:29: not YAML: expected ',' or '}', but got '['; in {...} and [...] a text with brackets stands in quotes",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: 'bert.embeddings.word_embeddings.wieght[0]'}
""",
        "3:18: nothing pins bert.embeddings.word_embeddings.wieght[0]; did you mean "
        "'bert.embeddings.word_embeddings.weight[0]'?",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: cls.predictions.bias}
""",
        "3:18: 'cls.predictions.bias' is no axis; write it like lm_head.weight[0]",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: 'cls.predictions.bias[0] (4 _'}
""",
        "3:43: this '(' is never closed; end it with ')'",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {residual: 'cls.predictions.bias[0]'}
""",
        "3:11: 'residual' is a group already; take another name",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: {axes: 'cls.predictions.bias[0]', over: layers.0.head}}
""",
        "3:11: no group is called 'layers.0.head'; did you mean 'layers.0.heads'?",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: {axes: 'cls.predictions.bias[0]', over: layers.0.heads}}
""",
        "3:11: bert.embeddings.word_embeddings.weight[0] does not tell "
        "which unit of 'layers.0.heads' it belongs to; leave 'over' away",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: {over: layers.0.heads}}
""",
        "3:18: a release needs axes, such as ['lm_head.weight[0]']",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release: {words: {axis: 'cls.predictions.bias[0]'}}
""",
        "3:19: unknown key 'axis'; did you mean 'axes'?",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release:
  both: ['cls.predictions.bias[0]', 'bert.embeddings.position_embeddings.weight[0]']
""",
        "4:3: what is released has 29 and 37 units; one group has one size",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release:
  words: bert.embeddings.word_embeddings.weight[0]
""",
        "4:3: releasing 'words' changes the outputs by 9.1e-01 (allowed: 1e-09); leave it pinned",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
release:
  words: bert.embeddings.word_embeddings.weight[0]
  places: bert.embeddings.position_embeddings.weight[0]
""",
        """\
4:3: releasing 'words' changes the outputs by 9.1e-01 (allowed: 1e-09); leave it pinned
5:3: releasing 'places' changes the outputs by 6.4e-01 (allowed: 1e-09); leave it pinned""",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
rename: {layers.0.fnn: mlp}
""",
        "3:10: no group is called 'layers.0.fnn'; did you mean 'layers.0.ffn'?",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
rename: {'layers.{l}.ffn': ffn}
""",
        "3:28: {l} must stand in the old name and in the new one",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
rename: {ffn: 'layers.{l}.ffn'}
""",
        "3:15: {l} must stand in the old name and in the new one",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
rename: {'layers.*.ffn': ffn}
""",
        "3:10: a rename has letters in place of *: layers.{l}.ffn: blocks.{l}.mlp",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
rename: {layers.0.ffn: residual}
""",
        "3:10: two groups would be called 'residual'; take another name",
    ),
    Malformed(
        f"""\
graphmerge: 1
derive: true
rename: {{layers.0.ffn: {"m" * 201}}}
""",
        "3:24: a name of 201 characters; a group has 200 at most",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
rename: [layers.0.ffn, mlp]
""",
        "3:9: 'rename' must be a mapping of names to values",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
model: {name: BertForMaskedLM}
""",
        "3:8: 'model' is a name or a list of names, as in [a, b]",
    ),
    Malformed(
        """\
graphmerge: 1
derive: true
pin: [layers.0.head]
tie: [[layers.0.ffn, residual], [layers.0.qkv, layers.1.qk]]
release: {words: 'cls.bias[0]'}
rename: {layers.2.ffn: last, words: tokens}
""",
        """\
3:7: no group is called 'layers.0.head'; did you mean 'layers.0.heads'?
4:8: layers.0.ffn has 7 units, residual has 15; they cannot be tied
4:34: no group is called 'layers.0.qkv'; did you mean 'layers.0.qk'?
5:18: nothing pins cls.bias[0]; did you mean 'cls.predictions.bias[0]'?
6:10: no group is called 'layers.2.ffn'; did you mean 'layers.1.ffn'?""",
    ),
)
