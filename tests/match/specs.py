"""Symmetries written by hand for tiny GPT-2, BERT and grouped-query Llama: nothing here is traced."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from graphmerge.symmetry import Block, Group, Move, Pin, Run, Symmetry, members_of

RESIDUAL, FFN, HEADS, QUERIES, VOCABULARY, POSITIONS = 24, 20, 3, 2, 29, 16
Axis = str | int  # names with their bases before them, like "heads qk"; or the length of an axis that is fixed


class Sketch:
    """Groups with their sizes and bases, and tensors written as one word for each axis."""

    def __init__(self, groups: dict[str, tuple[int, tuple[str, ...]]]) -> None:
        self.groups, self.layout, self.shapes = groups, {}, {}

    def block(self, *axes: Axis, offset: int = 0) -> Block:
        """``offset`` is where the block begins on its axis of most factors."""
        runs, names = [], []
        for axis in axes:
            words = [axis] if isinstance(axis, int) else axis.split()
            sizes = [w if isinstance(w, int) else self.groups[w][0] for w in words]
            strides = tuple(math.prod(sizes[k + 1 :]) for k in range(len(sizes)))
            runs.append(Run(0, tuple(sizes), strides))
            names.extend(words)
        if offset:
            widest = max(range(len(runs)), key=lambda k: len(runs[k].sizes))
            runs[widest] = Run(offset, runs[widest].sizes, runs[widest].strides)
        moves = [
            Move(name, (d,), tuple(names.index(base) for base in self.groups[name][1]))
            for d, name in enumerate(names)
            if isinstance(name, str) and not name.startswith("pinned")
        ]
        return Block(tuple(runs), tuple(moves))

    def add(self, key: str, *axes: Axis) -> None:
        self.add_blocks(key, [self.block(*axes)], [self.block(*axes).runs[k].length for k in range(len(axes))])

    def add_blocks(self, key: str, blocks: Sequence[Block], shape: Sequence[int]) -> None:
        self.layout[key], self.shapes[key] = tuple(blocks), tuple(shape)

    def symmetry(self) -> Symmetry:
        members = members_of(self.layout)
        groups = tuple(Group(n, *self.groups[n], members[n]) for n in self.groups if not n.startswith("pinned"))
        pins = tuple(Pin((), "by hand", n, self.groups[n][0]) for n in self.groups if n.startswith("pinned"))
        return Symmetry(groups, pins, self.layout, self.shapes)


def groups_of(layers: int, **within_heads: int) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Sizes and bases: the residual, and in every layer ffn, heads, and what is over heads."""
    groups: dict[str, tuple[int, tuple[str, ...]]] = {"residual": (RESIDUAL, ())}
    for i in range(layers):
        heads = f"layers.{i}.heads"
        groups |= {f"layers.{i}.ffn": (FFN, ()), heads: (HEADS, ())}
        groups |= {f"layers.{i}.{name}": (size, (heads,)) for name, size in within_heads.items()}
    return groups


def gpt2(layers: int = 2) -> tuple[PreTrainedModel, Symmetry]:
    """Fused queries, keys and values; weights are (in, out); the head is the embedding."""
    sketch = Sketch(groups_of(layers, qk=RESIDUAL // HEADS, v=RESIDUAL // HEADS))
    for key in ("transformer.wte", "lm_head"):
        sketch.add(f"{key}.weight", VOCABULARY, "residual")
    sketch.add("transformer.wpe.weight", POSITIONS, "residual")
    for i in range(layers):
        at, own = f"transformer.h.{i}", f"layers.{i}"
        qk, v = f"{own}.heads {own}.qk", f"{own}.heads {own}.v"
        parts = [(qk, 0), (qk, RESIDUAL), (v, 2 * RESIDUAL)]
        rows = [sketch.block("residual", part, offset=start) for part, start in parts]
        sketch.add_blocks(f"{at}.attn.c_attn.weight", rows, (RESIDUAL, 3 * RESIDUAL))
        sketch.add_blocks(
            f"{at}.attn.c_attn.bias", [sketch.block(part, offset=start) for part, start in parts], (3 * RESIDUAL,)
        )
        sketch.add(f"{at}.attn.c_proj.weight", v, "residual")
        sketch.add(f"{at}.mlp.c_fc.weight", "residual", f"{own}.ffn")
        sketch.add(f"{at}.mlp.c_fc.bias", f"{own}.ffn")
        sketch.add(f"{at}.mlp.c_proj.weight", f"{own}.ffn", "residual")
        for name in ("attn.c_proj.bias", "mlp.c_proj.bias", "ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias"):
            sketch.add(f"{at}.{name}", "residual")
    for name in ("weight", "bias"):
        sketch.add(f"transformer.ln_f.{name}", "residual")
    config = GPT2Config(
        n_layer=layers, n_embd=RESIDUAL, n_head=HEADS, n_inner=FFN, vocab_size=VOCABULARY, n_positions=POSITIONS
    )
    return drawn(GPT2LMHeadModel, config), sketch.symmetry()


def bert(layers: int = 2) -> tuple[PreTrainedModel, Symmetry]:
    """Separate projections; the head's transform is tied to the residual, so that stands in it twice."""
    sketch = Sketch(groups_of(layers, qk=RESIDUAL // HEADS, v=RESIDUAL // HEADS))
    embeddings = "bert.embeddings"
    sketch.add(f"{embeddings}.word_embeddings.weight", VOCABULARY, "residual")
    sketch.add("cls.predictions.decoder.weight", VOCABULARY, "residual")
    sketch.add(f"{embeddings}.position_embeddings.weight", POSITIONS, "residual")
    sketch.add(f"{embeddings}.token_type_embeddings.weight", 2, "residual")
    sketch.add("cls.predictions.transform.dense.weight", "residual", "residual")
    for i in range(layers):
        at, own = f"bert.encoder.layer.{i}", f"layers.{i}"
        qk, v = f"{own}.heads {own}.qk", f"{own}.heads {own}.v"
        for name, part in (("query", qk), ("key", qk), ("value", v)):
            sketch.add(f"{at}.attention.self.{name}.weight", part, "residual")
            sketch.add(f"{at}.attention.self.{name}.bias", part)
        sketch.add(f"{at}.attention.output.dense.weight", "residual", v)
        sketch.add(f"{at}.intermediate.dense.weight", f"{own}.ffn", "residual")
        sketch.add(f"{at}.intermediate.dense.bias", f"{own}.ffn")
        sketch.add(f"{at}.output.dense.weight", "residual", f"{own}.ffn")
        for name in ("attention.output.dense", "output.dense"):
            sketch.add(f"{at}.{name}.bias", "residual")
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            sketch.add(f"{at}.{name}.weight", "residual")
            sketch.add(f"{at}.{name}.bias", "residual")
    sketch.add("cls.predictions.transform.dense.bias", "residual")
    for name in (f"{embeddings}.LayerNorm", "cls.predictions.transform.LayerNorm"):
        sketch.add(f"{name}.weight", "residual")
        sketch.add(f"{name}.bias", "residual")
    config = BertConfig(
        num_hidden_layers=layers,
        hidden_size=RESIDUAL,
        num_attention_heads=HEADS,
        intermediate_size=FFN,
        vocab_size=VOCABULARY,
        max_position_embeddings=POSITIONS,
    )
    return drawn(BertForMaskedLM, config), sketch.symmetry()


def llama(layers: int = 2) -> tuple[PreTrainedModel, Symmetry]:
    """Three heads of keys and values with two heads of queries each; rotary pins what is inside queries and keys."""
    sketch = Sketch(groups_of(layers, query_heads=QUERIES, v=4) | {"pinned": (4, ())})
    sketch.add("model.embed_tokens.weight", VOCABULARY, "residual")
    sketch.add("lm_head.weight", VOCABULARY, "residual")
    sketch.add("model.norm.weight", "residual")
    for i in range(layers):
        at, own = f"model.layers.{i}", f"layers.{i}"
        attention = f"{at}.self_attn"
        sketch.add(f"{attention}.q_proj.weight", f"{own}.heads {own}.query_heads pinned", "residual")
        sketch.add(f"{attention}.k_proj.weight", f"{own}.heads pinned", "residual")
        sketch.add(f"{attention}.v_proj.weight", f"{own}.heads {own}.v", "residual")
        sketch.add(f"{attention}.o_proj.weight", "residual", f"{own}.heads {own}.query_heads {own}.v")
        for name in ("gate_proj", "up_proj"):
            sketch.add(f"{at}.mlp.{name}.weight", f"{own}.ffn", "residual")
        sketch.add(f"{at}.mlp.down_proj.weight", "residual", f"{own}.ffn")
        for name in ("input_layernorm", "post_attention_layernorm"):
            sketch.add(f"{at}.{name}.weight", "residual")
    config = LlamaConfig(
        num_hidden_layers=layers,
        hidden_size=RESIDUAL,
        num_attention_heads=HEADS * QUERIES,
        num_key_value_heads=HEADS,
        head_dim=4,
        intermediate_size=FFN,
        vocab_size=VOCABULARY,
    )
    return drawn(LlamaForCausalLM, config), sketch.symmetry()


def drawn(model_class: type[PreTrainedModel], config: object) -> PreTrainedModel:
    """A model in eval mode whose every parameter is random, biases and gains too."""
    torch.manual_seed(0)
    model = model_class(config).eval()
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    return model


def batches(count: int = 4, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    """Random ids, their own labels."""
    rng = torch.Generator().manual_seed(seed)
    ids = [torch.randint(0, VOCABULARY, (8, 12), generator=rng) for _ in range(count)]
    return [{"input_ids": i, "labels": i} for i in ids]


MODELS = {"gpt2": gpt2, "bert": bert, "llama": llama}
