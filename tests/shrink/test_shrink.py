"""Small configs: what ties sizes to each other is kept, and what cannot be small is left as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf

from graphmerge.shrink import plan, shrink


def runs(model_class: Any, small: Any) -> torch.nn.Module:
    model = model_class(small).eval()
    model(torch.tensor([[3, 1, 4]]))
    return model


def test_grouped_queries_stay_grouped_and_heads_divide_widths() -> None:
    config = hf.LlamaConfig(hidden_size=4096, num_attention_heads=32, num_key_value_heads=8)
    small = shrink(config)
    assert (small.num_attention_heads, small.num_key_value_heads) == (4, 2)
    assert small.hidden_size == small.num_attention_heads * small.head_dim
    assert config.hidden_size == 4096  # the config itself is untouched
    assert sum(p.numel() for p in runs(hf.LlamaForCausalLM, small).parameters()) < 20_000


def test_heads_wider_than_the_model_stay_so() -> None:
    small = shrink(hf.Qwen3Config(hidden_size=1024, num_attention_heads=16, num_key_value_heads=16, head_dim=128))
    assert small.num_attention_heads * small.head_dim == 2 * small.hidden_size


def test_a_state_space_is_as_wide_as_its_heads() -> None:
    small = shrink(hf.Mamba2Config())
    assert small.num_heads * small.head_dim == small.expand * small.hidden_size
    runs(hf.Mamba2Model, small)


def test_each_kind_of_layer_stays_once() -> None:
    kinds = ["sliding_attention"] * 5 + ["full_attention"]
    small = shrink(hf.Gemma3TextConfig(num_hidden_layers=12, layer_types=kinds * 2))
    assert small.layer_types == ["sliding_attention", "full_attention"]
    assert small.num_hidden_layers == 2


def test_layers_named_by_place_or_by_period_stay() -> None:
    bamba = shrink(hf.BambaConfig(attn_layer_indices=[9, 18, 27]))
    assert set(bamba.layers_block_type) == {"full_attention", "linear_attention"}
    jamba = shrink(hf.JambaConfig(attn_layer_period=8, attn_layer_offset=4))
    assert set(jamba.layers_block_type[: jamba.num_hidden_layers]) == {"mamba", "attention"}


def test_outputs_of_a_backbone_stay_as_many() -> None:
    config = hf.Dinov2Config(out_indices=[3, 6, 9, 12])
    small = shrink(config)
    backbone = hf.Dinov2Backbone(small).eval()
    assert len(backbone(torch.zeros(1, 3, 16, 16)).feature_maps) == 4


def test_places_of_layers_count_through_stages() -> None:
    config = hf.Sam2HieraDetConfig(blocks_per_stage=[1, 2, 7, 2], global_attention_blocks=[5, 7, 9])
    small = shrink(config)
    assert small.blocks_per_stage == [1, 2, 2, 2]
    assert small.global_attention_blocks == [4]  # of the third stage the first layer, and the first global one


def test_widths_keep_their_ratios_where_equal_ones_do_not_fit() -> None:
    def fits(small: Any) -> None:
        assert small.hidden_size * 2 == small.joint_width

    config: Any = hf.BertConfig(hidden_size=768)
    config.joint_width = 1536
    assert shrink(config).joint_width == shrink(config).hidden_size
    assert shrink(config, fits).joint_width == 16


def test_a_patch_written_out_has_its_numbers() -> None:
    config = hf.RadioConfig()
    small = shrink(config)
    assert small.patch_dim == small.num_channels * small.patch_size**2 == 48


def test_windows_in_pixels_hold_whole_patches() -> None:
    config = hf.Qwen2_5_VLConfig().vision_config  # windows of 112 pixels, of 2 by 2 patches of 14 pixels
    small = shrink(config)
    assert small.window_size == small.spatial_merge_size * small.patch_size == 8


def test_tiles_of_a_picture_stay_as_many() -> None:
    config = hf.LlavaNextConfig(image_grid_pinpoints=[[336, 672], [672, 672]])
    small = shrink(config)
    assert small.vision_config.image_size == 16
    assert small.image_grid_pinpoints == [[16, 32], [32, 32]]


def test_equal_widths_stay_equal_across_parts() -> None:
    config = hf.CLIPConfig(text_config={"projection_dim": 512}, vision_config={"hidden_size": 768}, projection_dim=512)
    small = shrink(config)
    assert small.projection_dim == small.text_config.projection_dim < 20
    assert small.vision_config.image_size == 16


def test_token_ids_keep_their_order_inside_the_vocabulary() -> None:
    config = hf.BartConfig()
    small = shrink(config)
    names = ("bos_token_id", "pad_token_id", "eos_token_id", "decoder_start_token_id")
    old, new = ([getattr(c, n) for n in names] for c in (config, small))
    assert sorted(names, key=lambda n: getattr(config, n)) == sorted(names, key=lambda n: getattr(small, n))
    assert len(set(old)) == len(set(new))
    assert max(new) < small.vocab_size


def test_a_pyramid_keeps_two_stages() -> None:
    config: Any = hf.SwinConfig(depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24])
    config.out_features = ["stage2", "stage4"]
    small = shrink(config)
    assert (small.depths, small.num_heads, small.num_layers) == ([2, 2], [1, 2], 2)
    assert (small.stage_names, small.out_features) == (["stem", "stage1", "stage2"], ["stage2"])
    assert small.image_size == 16  # so that there are windows to shift
    assert small.mlp_ratio == 2

    def all_stages(small: Any) -> None:
        if len(small.depths) < 4:
            raise ValueError("four stages are wanted")

    assert shrink(config, all_stages).num_heads == [1, 2, 4, 8]


def test_of_lists_for_stages_the_first_and_the_last_stay() -> None:
    small = shrink(hf.CvtConfig())
    assert [*small.cls_token] == [False, True]
    assert small.embed_dim[1] == 3 * small.embed_dim[0]


def test_larger_pictures_then_wider_layers_then_less() -> None:
    tried = []

    def works(small: Any) -> None:
        tried.append((small.image_size, small.hidden_size, small.patch_size))
        if small.patch_size == 4:
            raise ValueError("too small a patch")

    small = shrink(hf.ViTConfig(), works)
    assert [side for side, *_ in tried[:4]] == [8, 16, 32, 64]
    assert [width for _, width, _ in tried[:6]] == [8, 8, 8, 8, 24, 32]
    assert small.patch_size == 16
    assert small.hidden_size == 8


def test_what_never_works_raises_what_the_model_raised() -> None:
    def works(small: Any) -> None:
        raise ValueError(f"no model of {small.num_hidden_layers} layers")

    with pytest.raises(ValueError, match="no model of 2 layers"):
        shrink(hf.BertConfig(), works)


def test_a_plan_says_what_each_number_stands_for() -> None:
    roles = {change.name: change.role for change in plan(hf.BertConfig()).changes}
    assert roles["hidden_size"] == "width"
    assert roles["intermediate_size"] == "inner width"
    assert roles["num_attention_heads"] == "heads"
    assert roles["num_hidden_layers"] == "layers"
