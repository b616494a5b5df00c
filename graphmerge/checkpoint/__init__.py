"""Reading models, checking that they can be merged, and writing the result."""

from graphmerge.checkpoint.check import check_finite, check_pair
from graphmerge.checkpoint.directory import digest
from graphmerge.checkpoint.factory import call_function, factory_file, find_function, is_factory
from graphmerge.checkpoint.load import Loaded, load_model, load_state
from graphmerge.checkpoint.save import (
    PERMUTATIONS,
    check_target,
    files_along,
    model_directory,
    provenance,
    save_model,
    write_entries,
    write_module,
)
from graphmerge.checkpoint.shards import bytes_in
from graphmerge.checkpoint.tokenizer import TokenizerIdentity, tokenizer_identity
from graphmerge.checkpoint.weights import Weights, open_weights

__all__ = [
    "PERMUTATIONS",
    "Loaded",
    "TokenizerIdentity",
    "Weights",
    "bytes_in",
    "call_function",
    "check_finite",
    "check_pair",
    "check_target",
    "digest",
    "factory_file",
    "files_along",
    "find_function",
    "is_factory",
    "load_model",
    "load_state",
    "model_directory",
    "open_weights",
    "provenance",
    "save_model",
    "tokenizer_identity",
    "write_entries",
    "write_module",
]
