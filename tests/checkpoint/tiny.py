"""Tiny models, and directories that hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from graphmerge.checkpoint.pretrained import quiet_transformers

GPT2_SIZES = {"n_layer": 2, "n_embd": 16, "n_head": 2, "vocab_size": 29, "n_positions": 32}
IDS = {"bos_token_id": 0, "eos_token_id": 1}


def gpt2(seed: int = 0, **changes: Any) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    return GPT2LMHeadModel(GPT2Config(**GPT2_SIZES | IDS | changes)).eval()


def bert(seed: int = 0, **changes: Any) -> BertForMaskedLM:
    torch.manual_seed(seed)
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
    return BertForMaskedLM(BertConfig(**{"vocab_size": 29, "max_position_embeddings": 32} | sizes | changes)).eval()


def saved(model: Any, directory: Path, **config: Any) -> Path:
    """The model's directory, with entries of its config.json changed (None removes one)."""
    with quiet_transformers():
        model.save_pretrained(directory)
    path = directory / "config.json"
    entries = json.loads(path.read_text()) | config
    path.write_text(json.dumps({k: v for k, v in entries.items() if v is not None}))
    return directory


def save_tokenizer(directory: Path, words: list[str]) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["[UNK]", *words])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(directory)
    return directory


class Tied(nn.Module):
    """A module that is no Hugging Face model, with one tensor under two names and a table of integers."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(7, 4)
        self.inner = nn.Linear(4, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("positions", torch.arange(5))
        self.register_buffer("mask", torch.full((3, 3), float("-inf")).triu(1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.inner(self.embed(ids))))
