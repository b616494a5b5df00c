"""What counts as the function."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from torch import nn
from transformers.modeling_outputs import Seq2SeqLMOutput

import graphmerge as gm
from graphmerge.trace.outputs import choose_outputs
from tests.modules import ln

X = torch.zeros(2)


def test_of_an_output_object_every_floating_field_but_losses_states_and_caches() -> None:
    returned = Seq2SeqLMOutput(
        loss=X, logits=X, decoder_hidden_states=(X,), decoder_attentions=(X,), encoder_last_hidden_state=X
    )
    assert list(choose_outputs(returned)) == ["logits"]
    assert list(choose_outputs({"a": X, "ids": X.long(), "past_key_values": ((X, X),), "router_logits": (X,)})) == ["a"]


def test_of_anything_else_every_tensor() -> None:
    assert list(choose_outputs(X)) == ["output"]
    assert list(choose_outputs((X, [X, X.long()], None))) == ["0", "1.0", "1.1"]


def test_named_outputs() -> None:
    returned = {"logits": X, "hidden_states": (X, X)}
    assert list(choose_outputs(returned, ("hidden_states.1",))) == ["hidden_states.1"]
    with pytest.raises(gm.TraceError, match=r"no output 'heads'; the model returns logits, hidden_states\.0"):
        choose_outputs(returned, ("heads",))


def test_nothing_to_keep() -> None:
    with pytest.raises(gm.TraceError, match="returns no tensor"):
        choose_outputs({"loss": X})


class Two(nn.Module):
    """Two heads on one space; the first also shows the space itself."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.a, self.b = nn.Embedding(11, 6), nn.Linear(6, 4), nn.Linear(6, 3)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.embed(ids)
        return self.a(x), self.b(x), x


def test_outputs_that_are_left_out_pin_nothing() -> None:
    ids = torch.tensor([[1, 2, 3]])
    assert gm.trace(Two(), ids).symmetry().log_order() == 0
    assert gm.trace(Two(), ids, outputs=("0", "1")).symmetry().log_order() == pytest.approx(ln(6))


def test_two_heads_of_one_model_are_both_outputs() -> None:
    config = hf.BertConfig(vocab_size=13, hidden_size=6, num_hidden_layers=1, num_attention_heads=2,
                           intermediate_size=5, max_position_embeddings=17)  # fmt: skip
    symmetry = gm.trace(hf.BertForPreTraining(config)).symmetry()
    reasons = {p.reason for p in symmetry.pinned}
    assert "output seq_relationship_logits" in reasons
    assert symmetry["bert.pooler.dense"].size == 6
