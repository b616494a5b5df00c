"""A model without weights is verified on a small copy, and only if the copy has the same groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import transformers as hf
from torch import nn

import graphmerge as gm
from graphmerge.symmetry import Block, Move, Run
from graphmerge.verify.copies import small_copy
from graphmerge.verify.edits import without
from tests.certificate.test_certify import renamed, without_group
from tests.graph.test_config_alone import on_meta


def llama(layers: int = 80, **changes: Any) -> nn.Module:
    sizes = {"hidden_size": 24, "intermediate_size": 9, "vocab_size": 29, "max_position_embeddings": 37}
    heads = {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 10}
    return on_meta(hf.LlamaForCausalLM, hf.LlamaConfig(num_hidden_layers=layers, **sizes | heads | changes))


@pytest.fixture(scope="module")
def few() -> tuple[nn.Module, gm.Symmetry]:
    """Five layers, and the symmetry derived from them."""
    model = llama(5)
    return model, gm.trace(model).symmetry()


def edited(symmetry: gm.Symmetry, key: str, change: Callable[[Block], Block]) -> gm.Symmetry:
    """The same symmetry with the blocks of one tensor changed."""
    return replace(symmetry, layout={**symmetry.layout, key: tuple(map(change, symmetry.layout[key]))})


def test_eighty_layers_are_verified_on_two() -> None:
    model = llama()
    found = gm.verify(model, gm.trace(model).symmetry())
    assert found.ok
    assert found.unlike == ()
    assert found.shrunk["num_hidden_layers"] == (80, 2)
    assert found.shrunk["hidden_size"][0] == 24 > found.shrunk["hidden_size"][1]
    assert set(found.errors) == {"residual"} | {
        f"layers.{k}.{role}" for k in (0, 1) for role in ("heads", "query_heads", "v", "ffn")
    }
    assert max(found.errors.values()) == found.max_error < 1e-12
    assert not found.untested
    found.require()


@pytest.mark.parametrize(
    ("cls", "sizes"),
    [
        (
            hf.MixtralForCausalLM,
            {
                "hidden_size": 6144,
                "intermediate_size": 16384,
                "num_hidden_layers": 3,
                "num_attention_heads": 48,
                "num_key_value_heads": 8,
                "num_local_experts": 8,
                "vocab_size": 32768,
            },
        ),
        (hf.BertForMaskedLM, {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}),
        (hf.T5ForConditionalGeneration, {"num_layers": 3}),
    ],
)
def test_large_shapes(cls: Any, sizes: dict[str, int]) -> None:
    model = on_meta(cls, cls.config_class(**sizes))
    found = gm.verify(model, gm.trace(model).symmetry())
    assert found.ok, found.unlike
    assert found.shrunk


def test_layers_of_two_kinds_each_have_their_copy() -> None:
    """Layers 0, 1, 2 mix tokens by convolution or attention as the config says; the copy has one of each kind."""
    config = hf.Lfm2Config(
        hidden_size=24, intermediate_size=36, num_hidden_layers=5, num_attention_heads=6, num_key_value_heads=3,
        vocab_size=29, layer_types=["conv", "conv", "full_attention", "conv", "full_attention"],
    )  # fmt: skip
    model = on_meta(hf.Lfm2ForCausalLM, config)
    symmetry = gm.trace(model).symmetry()
    found = gm.verify(model, symmetry)
    assert found.ok, found.unlike
    assert found.shrunk["num_hidden_layers"] == (5, 2)
    broken = gm.verify(model, without_group(symmetry, "layers.4.v"))
    assert not broken.ok
    assert broken.unlike == ("layers.1.v of the copy at model.layers.4",)


def test_kinds_are_verified_on_the_copy(few: tuple[nn.Module, gm.Symmetry]) -> None:
    found = gm.verify(*few, kinds=True)
    assert found.ok
    assert found.kinds["layers.0.v"].kind == "invertible"


def test_a_model_with_weights_is_verified_itself_unless_a_copy_is_asked_for() -> None:
    model = hf.GPT2LMHeadModel(hf.GPT2Config(n_layer=3, n_embd=24, n_head=4, vocab_size=29, n_positions=32)).eval()
    symmetry = gm.trace(model).symmetry()
    assert not gm.verify(model, symmetry).shrunk
    found = gm.verify(model, symmetry, shrunk=True)
    assert found.ok, found.unlike
    assert found.shrunk["n_layer"] == (3, 2)


def test_a_spec_without_pins_and_actions_will_do(few: tuple[nn.Module, gm.Symmetry], tmp_path: Any) -> None:
    model, symmetry = few
    symmetry.to_yaml(tmp_path / "llama.yaml")
    assert gm.verify(model, gm.load_spec(tmp_path / "llama.yaml")).ok
    bare = {
        key: tuple(replace(b, moves=tuple(replace(m, action=None) for m in b.moves)) for b in blocks)
        for key, blocks in symmetry.layout.items()
    }
    assert gm.verify(model, replace(symmetry, pinned=(), layout=bare)).ok


def test_a_group_that_is_missing_in_one_layer(few: tuple[nn.Module, gm.Symmetry]) -> None:
    model, symmetry = few
    found = gm.verify(model, without_group(symmetry, "layers.3.ffn"))
    assert found.unlike == ("layers.0.ffn of the copy at model.layers.3",)
    assert found.max_error < found.tolerance  # of the copy alone
    assert not found.ok
    with pytest.raises(gm.NotEquivariant, match=r"layers\.0\.ffn of the copy at model\.layers\.3"):
        found.require()


def test_a_tie_that_is_broken_in_one_layer(few: tuple[nn.Module, gm.Symmetry]) -> None:
    model, symmetry = few
    axis = next(a for a in symmetry["layers.4.ffn"].members if "down_proj" in a.tensor)
    found = gm.verify(model, without(symmetry, "layers.4.ffn", axis, [axis.tensor]))
    assert not found.ok
    assert found.unlike == ("layers.0.ffn of the copy at model.layers.4",)


def test_groups_of_two_layers_that_are_tied(few: tuple[nn.Module, gm.Symmetry]) -> None:
    model, symmetry = few
    found = gm.verify(model, renamed(symmetry, "layers.3.ffn", "layers.2.ffn"))
    assert not found.ok
    assert "layers.2.ffn" in found.unlike


def test_a_wrong_number_of_heads_that_fits_every_shape() -> None:
    """The same shapes, cut into six heads of four and not into three of eight: only sizes tell."""
    model = llama(3, head_dim=4, num_attention_heads=6, num_key_value_heads=6)
    other = gm.trace(llama(3, head_dim=8, num_attention_heads=3, num_key_value_heads=3)).symmetry()
    assert other.shapes == gm.trace(model).symmetry().shapes
    found = gm.verify(model, other)
    assert not found.ok
    assert {f"layers.{k}.{role}" for k in range(3) for role in ("heads", "v")} == set(found.unlike)


def test_a_run_that_begins_one_unit_late(few: tuple[nn.Module, gm.Symmetry]) -> None:
    model, symmetry = few

    def late(block: Block) -> Block:
        return replace(block, runs=(Run(1, (8,), (1,)), block.runs[1]))

    found = gm.verify(model, edited(symmetry, "model.layers.1.mlp.up_proj.weight", late))
    assert found.unlike == ("layers.1.ffn",)


def test_what_acts_on_the_wrong_side(few: tuple[nn.Module, gm.Symmetry]) -> None:
    model, symmetry = few

    def turned(move: Move) -> Move:
        assert move.action is not None
        return replace(move, action=replace(move.action, side="dual")) if move.group.endswith("v") else move

    def change(block: Block) -> Block:
        return replace(block, moves=tuple(map(turned, block.moves)))

    found = gm.verify(model, edited(symmetry, "model.layers.2.self_attn.v_proj.weight", change))
    assert found.unlike == ("layers.2.v",)


def test_a_single_head_of_the_copy_is_no_head_of_the_model() -> None:
    """One group of queries has nothing to move; three have."""
    config = hf.SwinConfig(image_size=32, patch_size=2, embed_dim=12, depths=[2, 2], num_heads=[3, 6], window_size=4)
    model = on_meta(hf.SwinModel, config)
    symmetry = gm.trace(model).symmetry()
    found = gm.verify(model, symmetry)
    assert found.shrunk["num_heads"] == ([3, 6], [1, 2])
    assert not found.ok
    assert "layers.0.heads" in found.unlike
    assert "layers.0.heads" in symmetry.by_name


def test_a_copy_that_is_less_small_where_a_size_vanished_in_the_first() -> None:
    """A quarter of each head is rotated: of four units that is one, which has no halves."""
    config = hf.GPTNeoXConfig(
        hidden_size=192, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4, vocab_size=29
    )
    model = on_meta(hf.GPTNeoXForCausalLM, config)
    symmetry = gm.trace(model).symmetry()
    found = gm.verify(model, symmetry)
    assert found.ok, found.unlike
    assert found.shrunk["hidden_size"][1] > small_copy(model).shrunk["hidden_size"][1]
    assert not gm.verify(model, without_group(symmetry, "layers.1.qk")).ok


def test_actions_of_plain_permutations_do_not_count() -> None:
    model = on_meta(hf.CLIPModel, hf.CLIPConfig())
    found = gm.verify(model, gm.trace(model).symmetry())
    assert found.ok, found.unlike


def test_what_has_no_config_cannot_be_shrunk() -> None:
    with pytest.raises(gm.TraceError, match="no config"):
        small_copy(nn.Linear(2, 2))
