"""Malformed recipes with the full text of their errors: what the tests hold the reader to, and docs/errors.md shows."""

from __future__ import annotations

from tests.spec.malformed import Malformed

MALFORMED_RECIPES = (
    Malformed(
        "",
        "1:1: the file is empty; a recipe starts with 'recipe: 1'",
    ),
    Malformed(
        "recipe: [",
        "1:10: not YAML: expected the node content, but found '<stream end>'",
    ),
    Malformed(
        "- recipe: 1\n",
        "1:1: a recipe must be a mapping of names to values",
    ),
    Malformed(
        """\
models: [a, b]
output: out
""",
        "1:1: a recipe needs 'recipe': The version of this notation: 1",
    ),
    Malformed(
        """\
recipe: 2
models: [a, b]
output: out
""",
        "1:9: this is version 2 of the notation; 1 is the only one",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
""",
        "1:1: a recipe needs 'output': The directory to write",
    ),
    Malformed(
        """\
recipe: 1
model: [a, b]
output: out
""",
        """\
1:1: a recipe needs 'models': Hugging Face directories or ids, or file.py:factory; the others are matched to the first
2:1: unknown key 'model'; did you mean 'models'?""",
    ),
    Malformed(
        """\
recipe: 1
models: a
output: out
""",
        "2:9: 'models' must be a list, as in [a, b], not 'a'",
    ),
    Malformed(
        """\
recipe: 1
models: [a]
output: out
""",
        "2:9: 'models' needs 2 entries or more, not 1",
    ),
    Malformed(
        """\
recipe: 1
models: [a, 7]
output: ''
""",
        """\
2:13: 'models[1]' must be text (in quotes, if it looks like a number), not 7
3:9: 'output' must not be empty""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
matching: {method: weights}
""",
        "4:1: unknown key 'matching'; did you mean 'match'?",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {method: weigths}
""",
        "4:17: 'match.method' is 'weigths', which is unknown; did you mean 'weights'?",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {method: git-rebasin}
""",
        "4:17: 'match.method' is 'git-rebasin', which is unknown; it is one of weights, activations, identity",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {metod: weights, sweeps: many}
""",
        """\
4:9: unknown key 'metod'; did you mean 'method'?
4:33: 'match.sweeps' must be a whole number, not 'many'""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match:
  method: activations
  similarity: cosine
""",
        "6:15: 'match.similarity' is 'cosine', which is unknown; did you mean 'covariance'?",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {source: a.txt}
match: {method: activations, level: tokens, residual_feature: last, heads: fixed, head_features: values}
""",
        """\
5:37: 'match.level' is 'tokens', which is unknown; did you mean 'token'?
5:45: unknown key 'residual_feature'; did you mean 'residual_features'?
5:76: 'match.heads' is 'fixed', which is unknown; it is one of permuted, in_place, ignored
5:98: 'match.head_features' is 'values', which is unknown; did you mean 'value'?""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {share: 0, special_tokens: out, special_ids: [cls], absolute: 1.5}
""",
        """\
4:16: 'match.share' must be 0.001 or more, not 0
4:35: 'match.special_tokens' must be true or false, not 'out'
4:54: 'match.special_ids[0]' must be a whole number, not 'cls'
4:70: 'match.absolute' must be true or false, not 1.5""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {residual_features: last, absolute: true, similarity: covariance, share: 0.1}
""",
        """\
4:28: residual_features is about activations, and matching by weights reads none
4:44: absolute is about activations, and matching by weights reads none
4:62: similarity is about activations, and matching by weights reads none
4:81: share is a share of the calibration data, and there is none""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {source: a.txt}
match: {method: activations, residual_features: separate, heads: ignored}
""",
        """\
5:49: residual_features: separate changes the function of the model; to do so all the same, add allow_unsound: true
5:66: heads: ignored changes the function of the model; to do so all the same, add allow_unsound: true""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {source: a.txt}
match: {method: activations, level: cls, special_tokens: false, heads: in_place, head_features: value}
""",
        """\
5:37: level: cls reads a special token, and special_tokens: false leaves those out
5:97: head_features tell heads apart, and with heads: in_place none are matched""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b, c]
output: out
match: {to: last}
""",
        "4:13: 'match.to' is 'last', which is unknown; it is one of first, universe",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b, c]
output: out
calibration: {source: a.txt}
match: {to: universe, refine: 8}
""",
        "5:31: refine goes by the loss halfway between two models, and to: universe has more to go between",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {method: identity, heads: in_place, special_ids: [101]}
""",
        """\
4:34: matching by identity moves no heads
4:57: special_ids is about activations, and matching by identity reads none""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {method: activations}
""",
        "4:17: matching by activations needs data: add 'calibration', or match by weights",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: weights
""",
        "4:8: 'match' must be a mapping of names to values, not 'weights'",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
match: {loss: loss.py}
""",
        "4:15: 'match.loss' must name a function as file.py:function, not 'loss.py'",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {source: corpus.parquet}
""",
        "4:23: 'calibration.source' must end in .txt, .md, .npy, .jsonl, or be file.py:loader; not 'corpus.parquet'",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {source: loader.py}
""",
        "4:23: 'calibration.source' must name a function as file.py:function, not 'loader.py'",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {batches: 8}
""",
        "4:14: 'calibration' needs one of 'source' (a file, or file.py:loader) and 'dataset' (of Hugging Face)",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {source: a.txt, dataset: {name: wikitext}}
""",
        "4:14: 'calibration' needs one of 'source' (a file, or file.py:loader) and 'dataset' (of Hugging Face)",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {dataset: {split: train, columns: text}}
""",
        """\
4:24: 'calibration.dataset' needs 'name': Its name, as datasets.load_dataset takes it
4:39: unknown key 'columns'; did you mean 'column'?""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
calibration: {source: a.txt, batches: 0, length: 1, size: 2.5}
""",
        """\
4:39: 'calibration.batches' must be 1 or more, not 0
4:50: 'calibration.length' must be 2 or more, not 1
4:59: 'calibration.size' must be a whole number, not 2.5""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {method: linear, weights: [0.5, 0.6]}
""",
        "4:34: the weights must sum to 1; [0.5, 0.6] sum to 1.1",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {weights: [1]}
""",
        "4:18: 2 models need 2 weights; got 1",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {weights: [half, half]}
""",
        """\
4:19: 'merge.weights[0]' must be a number, not 'half'
4:25: 'merge.weights[1]' must be a number, not 'half'""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {weights: [.nan, 1]}
""",
        "4:18: the weights must be finite numbers; got [nan, 1.0]",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b, c]
output: out
merge: {method: slerp}
""",
        "4:17: slerp merges two models, not 3; write linear",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {keep: classifier.*, keep_from: 2}
""",
        "4:40: keep_from is 2; the models are numbered 0 to 1",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {keep_from: 1, keeps: classifier.*}
""",
        """\
4:23: unknown key 'keeps'; did you mean 'keep'?""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {keep_from: 1}
""",
        "4:20: keep_from says whose tensors 'keep' keeps, and nothing is kept",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge: {method: ties}
""",
        "4:17: 'merge.method' is 'ties', which is unknown; it is one of linear, slerp",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge:
  exceptions:
    - {tensors: '*.bias', groups: ffn, weights: [1, 0]}
    - {weights: [1, 0]}
    - {tensors: '*.bias', weight: [1, 0]}
""",
        """\
6:7: 'merge.exceptions[0]' needs one of 'groups' and 'tensors'
7:7: 'merge.exceptions[1]' needs one of 'groups' and 'tensors'
8:7: 'merge.exceptions[2]' needs 'weights': One a model, in sum 1
8:27: unknown key 'weight'; did you mean 'weights'?""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
merge:
  exceptions:
    - {groups: ffn, weights: [0.9, 0.2]}
""",
        "6:30: the weights must sum to 1; [0.9, 0.2] sum to 1.1",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
groups: ['']
""",
        "4:10: 'groups[0]' must not be empty",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
groups: ffn
match: {method: identity}
""",
        "4:9: matching by identity moves no group; remove 'groups', or match by weights",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b, c]
output: out
evaluation: {source: a.txt, points: 11}
""",
        "4:37: a barrier lies between two models, not 3; remove 'points'",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
evaluation: {source: a.txt, points: 2}
""",
        "4:37: 'evaluation.points' must be 3 or more, not 2",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
spec: packged
""",
        "4:7: 'spec' must be derived, packaged, a family, or a .yaml file; not 'packged'; did you mean 'packaged'?",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
shard_size: 2
""",
        "4:13: 'shard_size' must be text (in quotes, if it looks like a number), not 2",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
shard_size: 2 gigabytes
""",
        "4:13: 'shard_size' '2 gigabytes' is no size; write a number and kB, MB or GB, as in 2GB",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
device: gpu
""",
        "4:9: 'device' must be auto, cpu, cuda or cuda:1, not 'gpu'",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
seed: -1
threads: 0
""",
        """\
4:7: 'seed' must be 0 or more, not -1
5:10: 'threads' must be 1 or more, not 0""",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
trust_remote_code: maybe
""",
        "4:20: 'trust_remote_code' must be true or false, not 'maybe'",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
output: elsewhere
""",
        "4:1: 'output' stands here for the second time (first in line 3); keep one",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
evaluation: &data {source: a.txt}
calibration: *data
""",
        "4:13: not YAML: anchors (&) and aliases (*) are not part of a recipe; write it out",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
seed: !!python/object/apply:os.getpid []
""",
        "4:7: 'seed' must be a whole number, not a list",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
seed: !int 3
""",
        "4:7: tags like '!int' are not part of a recipe; write plain text",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
inputs: {models.0: yes}
""",
        "4:20: 'inputs.models.0' must be a mapping of names to values, not true",
    ),
    Malformed(
        """\
recipe: 1
models: [a, b]
output: out
? [a, b]
: c
""",
        "4:3: a key must be text",
    ),
    Malformed(
        """\
recipe: 1
models: [a]
ouput: out
match: {method: activation, seed: 3}
merge: {wieghts: [1, 0]}
""",
        """\
1:1: a recipe needs 'output': The directory to write
2:9: 'models' needs 2 entries or more, not 1
3:1: unknown key 'ouput'; did you mean 'output'?
4:17: 'match.method' is 'activation', which is unknown; did you mean 'activations'?
4:29: unknown key 'seed'; did you mean 'sweeps'?
5:9: unknown key 'wieghts'; did you mean 'weights'?""",
    ),
)
