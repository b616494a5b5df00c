"""torch's own attention, encoder, decoder and recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.libraries.sizes import ODD, TINY, Sizes
from tests.modules import ln
from tests.proof import assert_complete, assert_sound


class Attention(nn.Module):
    """``in_proj_weight`` holds queries, keys and values."""

    def __init__(self, s: Sizes, **settings: Any) -> None:
        super().__init__()
        self.enter, self.leave = nn.Embedding(s.vocabulary, s.width), nn.Linear(s.width, 3)
        self.attention = nn.MultiheadAttention(s.width, s.heads, batch_first=True, **settings)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.enter(ids)
        return self.leave(self.attention(x, x, x, need_weights=False)[0])


class AveragedWeights(Attention):
    """The slow path: it returns the weights of attention as well."""

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.enter(ids)
        y, weights = self.attention(x, x, x)
        return self.leave(y), weights


class Between(nn.Module):
    """Keys and values of other widths: three matrices in the place of one; learned keys beside the others."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.queries, self.others = nn.Embedding(s.vocabulary, s.width), nn.Embedding(s.vocabulary, 3)
        self.to_keys, self.to_values = nn.Linear(3, 7), nn.Linear(3, 5)
        self.attention = nn.MultiheadAttention(
            s.width, s.heads, kdim=7, vdim=5, batch_first=True, add_bias_kv=True, add_zero_attn=True
        )
        self.leave = nn.Linear(s.width, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        y = self.others(ids)
        return self.leave(self.attention(self.queries(ids), self.to_keys(y), self.to_values(y), need_weights=False)[0])


class Encoder(nn.Module):
    def __init__(self, s: Sizes, **settings: Any) -> None:
        super().__init__()
        self.enter, self.leave = nn.Embedding(s.vocabulary, s.width), nn.Linear(s.width, 3)
        layer = nn.TransformerEncoderLayer(s.width, s.heads, s.wide, batch_first=True, **settings)
        self.stack = nn.TransformerEncoder(layer, s.layers, enable_nested_tensor=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.leave(self.stack(self.enter(ids)))


class Causal(Encoder):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.leave(self.stack(self.enter(ids), mask=mask, is_causal=True))


class Padded(Encoder):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.leave(self.stack(self.enter(ids), src_key_padding_mask=ids == 1))


class Both(nn.Module):
    """An encoder and a decoder over the same ids."""

    def __init__(self, s: Sizes, **settings: Any) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(s.vocabulary, s.width), nn.Embedding(s.vocabulary, s.width)
        self.both = nn.Transformer(s.width, s.heads, 1, 1, s.wide, **settings)
        self.leave = nn.Linear(s.width, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.leave(self.both(self.source(ids.T), self.target(ids.T), tgt_mask=mask))


MODELS: dict[str, Callable[[Sizes], nn.Module]] = {
    "attention": Attention,
    "attention without biases": lambda s: Attention(s, bias=False),
    "attention and its weights": AveragedWeights,
    "attention between widths": Between,
    "encoder": Encoder,
    "encoder, norm first": lambda s: Encoder(s, norm_first=True, activation="gelu"),
    "causal encoder": Causal,
    "padded encoder": Padded,
    "encoder and decoder": Both,
    "encoder and decoder, norm first": lambda s: Both(s, norm_first=True, bias=False),
}


@pytest.mark.parametrize("name", MODELS)
def test_sound(name: str) -> None:
    torch.manual_seed(0)
    assert_sound(MODELS[name](ODD), torch.tensor([[3, 0, 4, 2, 5]]))


@pytest.mark.parametrize("name", MODELS)
def test_complete(name: str) -> None:
    assert_complete(MODELS[name](TINY), torch.tensor([[2, 0]]))


class Recurrent(nn.Module):
    def __init__(self, layer: type[nn.RNNBase], layers: int, both: bool) -> None:
        super().__init__()
        self.enter = nn.Embedding(7, 6)
        self.stack = layer(6, 5, layers, batch_first=True, bidirectional=both)
        self.leave = nn.Linear(10 if both else 5, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.leave(self.stack(self.enter(ids))[0])


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, True)])
def test_recurrent_layers(layer: type[nn.RNNBase], layers: int, both: bool) -> None:
    """The embedding's width, and the hidden units of each layer in each direction."""
    torch.manual_seed(0)
    symmetry = assert_sound(Recurrent(layer, layers, both), torch.tensor([[3, 0, 4, 2, 5]]))
    assert symmetry.log_order() == pytest.approx(ln(6) + layers * (1 + both) * ln(5))
