"""What a default config leaves open, for single model types.

Nothing here is about what is derived: only about how a tiny model is built.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from transformers import CONFIG_MAPPING

from benchmarks.coverage.catalogue import Case
from benchmarks.coverage.smaller import SMALLER, VOCODER, inside

# What config classes leave unset although their models need it, as arguments of the class.
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_MOE = {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "mlp_layer_types": ["dense", "sparse"] * 16}
_EXPERTS = {"num_experts": 8, "top_k_experts": 2, "moe_intermediate_size": 704}
_HEAD = {
    "use_pixel_shuffle": False, "upsample_out_channels": [64, 64], "upsample_kernel_sizes": [4, 4],
    "conv_out_channels": [64], "conv_kernel_sizes": [1],
}  # fmt: skip
_NARROW = {"width_coefficient": 0.1, "depth_coefficient": 0.5, "hidden_dim": 128}
_INDEXER = {
    "indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 256, "indexer_budget": 4,
    "indexer_compress_ratio": 2,
}  # fmt: skip
_RESNET = {"backbone_config": {"model_type": "resnet", "out_features": ["stage1", "stage2", "stage3", "stage4"]}}
_OCR_ENCODER = {"encoder_config": {"hidden_size": 896, "num_attention_heads": 14}}
_VISUAL = {f"<|visual token {k:06}|>": 8 + k for k in range(16)} | {"<image>": 7, "<|extra_200|>": 6}
_RATIOS = {"long": 7, "mid": 5, "short": 3}
_BLOCK = {
    "reduce_channel": [1, 1, 0], "return_channel": [1, 1, 0],
    **{f"vertical_long_to_small_conv_{n}ratio": [[k, 1], [1, 1], [k // 2, 0]] for n, k in _RATIOS.items()},
    **{f"horizontal_small_to_long_conv_{n}ratio": [[1, k], [1, 1], [0, k // 2]] for n, k in _RATIOS.items()},
    **{f"symmetric_conv_long_{n}ratio": [[k, k], [1, 1], [k // 2, k // 2]] for n, k in _RATIOS.items()},
}  # fmt: skip
_DETECTOR = {"intraclass_block_config": _BLOCK, "scale_factor_list": [1, 2, 4, 8], "kernel_list": [3, 2, 2]}
GIVEN: Final[dict[str, dict[str, Any]]] = {
    "pp_ocrv5_server_det": _DETECTOR,
    "pp_ocrv6_medium_det": _DETECTOR,
    "conditional_detr": _RESNET,
    "dab-detr": _RESNET,
    "deformable_detr": {  # maps of two resolutions, one of them made from the other
        "backbone_config": _RESNET["backbone_config"] | {"out_features": ["stage4"]},
        "num_feature_levels": 2,
    },
    "depth_pro": {
        "scaled_images_ratios": [0.5, 1],
        "scaled_images_overlap_ratios": [0.0, 0.25],
        "scaled_images_feature_dims": [1024, 512],
        "intermediate_hook_ids": [11],
        "intermediate_feature_dims": [256],
    },
    "detr": _RESNET,
    "grounding-dino": {"num_feature_levels": 2},
    "mm-grounding-dino": {"num_feature_levels": 2},
    "table-transformer": _RESNET,
    "omdet-turbo": {
        "backbone_config": {"model_type": "swin", "image_size": 640, "out_indices": [2, 3, 4]},
        "apply_layernorm_after_vision_backbone": False,
    },
    "fast_vlm": {"vision_config": {"model_type": "resnet", "hidden_size": 2048}},
    "perception_lm": {"vision_config": {"model_type": "clip_vision_model", "model_args": {"embed_dim": 768}}},
    "T5GemmaEncoderModel": {"is_encoder_decoder": False},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "moonshine_streaming": {"num_key_value_heads": 8},
    "pix2struct_text_model": {"initializer_range": 0.02},
    "sapiens2": {"head_config": _HEAD},
    "shieldgemma2": {"yes_token_index": 10784, "no_token_index": 3771},
    "hiera": {"decoder_hidden_size": 512, "decoder_depth": 2, "decoder_num_heads": 8},
    "qwen3_omni_moe": {"talker_config": {"text_config": {"shared_expert_intermediate_size": 768}}},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 768},
    "instructblip": {"image_token_index": 50260},
    "instructblipvideo": {"video_token_index": 50260},
    "step3p7": {"text_config": {"sliding_window": 512}},
    "step3p5": {"sliding_window": 512},
    "t5gemma2_decoder": {"dropout_rate": 0.0},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "vitmatte": {"convstream_hidden_sizes": [48, 96, 192], "fusion_hidden_sizes": [256, 128, 64, 32]},
    "wav2vec2-bert": {"vocab_size": 32},
    "xmod": {"default_language": "en_XX"},
    "Blip2ForImageTextRetrieval": {"qformer_config": {"use_qformer_text_input": True}},
    "PerceiverForImageClassificationFourier": {"num_cross_attention_heads": 1},
    "ReformerModelWithLMHead": {"is_decoder": True},
    "align_vision_model": _NARROW,
    "align": {"vision_config": _NARROW},
    "aria": {"projector_patch_to_query_dict": {16: 4, 9: 2}},
    "autoformer": {"prediction_length": 4, "num_time_features": 2, "label_length": 2, "moving_average": 3},
    "bamba": {"attn_layer_indices": [9, 18, 27]},
    "beit": {"out_indices": [3, 5, 7, 11]},
    "blip-2": {"image_token_index": 50260},
    "chameleon": {"vocabulary_map": {"<image>": 4, "a": 5, "IMGIMGA": 6, "IMGIMGB": 7}},
    "cohere_compass": {"text_config": {"rope_parameters": {"full_attention": _ROPE}}},
    "cohere_compass_text": {"rope_parameters": {"full_attention": _ROPE}},
    "convnext": {"hidden_sizes": [96, 192, 384, 768]},
    "convnextv2": {"hidden_sizes": [96, 192, 384, 768]},
    "focalnet": {"hidden_sizes": [192, 384, 768, 768]},
    "data2vec-vision": {"out_indices": [3, 5, 7, 11]},
    "deepseek_ocr2": {"text_config": _MOE},  # its 144 queries make a picture too long to count
    "deepseek_ocr2_text": _MOE,
    "deepseek_ocr2_vision": _OCR_ENCODER,
    "pp_doclayout_v2": {"class_thresholds": [0.5] * 3, "class_order": [0, 1, 2]},
    "granite4_vision": {"deepstack_layer_map": [[-1, 0]], "downsample_rate": "1/2"},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8}},
    "diffusion_gemma": {"text_config": _EXPERTS, "vision_config": {}},
    "embedding_gemma2": {"vision_config": {}},
    "gemma4": {"vision_config": {}},
    "gemma4_unified": {"vision_config": {}},
    "diffusion_gemma_text": _EXPERTS,
    "efficientnet": _NARROW,
    "dots1": {"n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"] * 16},
    "janus_vqgan": {"num_patches": 4, "channel_multiplier": [1, 1], "num_res_blocks": 1},
    "emu3": {"vocabulary_map": _VISUAL},
    "esm": {"vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "hunyuan_vl_text": {"head_dim": 128},
    "informer": {"prediction_length": 4, "num_time_features": 2},
    "lw_detr": {"projector_scale_factors": [1.0]},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "ministral": {"head_dim": 128},
    "nemotron": {"head_dim": 128, "num_key_value_heads": 8},
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen4_exp_text": _INDEXER,
    "reformer": {"axial_pos_embds_dim": [64, 192]},
    "time_series_transformer": {"prediction_length": 4, "num_time_features": 2},
    "wav2vec2-conformer": {"vocab_size": 32},
}

# What does not follow from the names of a config's numbers, once they are small: "text_config.head_dim" is inside.
_CHANNELS = {"in_channels": [32, 16, 24, 40, 80, 112, 192], "out_channels": [16, 24, 40, 80, 112, 192, 320]}
_GRID = {"num_patches": 16}  # as many as there are: shrunk, some rows of the table would mean the same
_SECTIONS = {"head_dim": 8, "rope_parameters": _ROPE | {"mrope_section": [1, 1, 2]}}
_SLIDING = {  # the third layer has sizes of its own
    "per_layer_config": {2: {"kv_lora_rank": 5, "q_lora_rank": 5, "qk_nope_head_dim": 6, "head_dim": 10}}
}
_GROUNDED = {
    "d_model": 32,
    "text_config.vocab_size": 104,
}  # so many groups, and a token 102, are written into the model
_SPECTRA = {"spec_size": 32, "hidden_size": 16, "depths": [2, 2], "num_attention_heads": [1, 2]}
_VOCODER = VOCODER | {"upsample_initial_channel": 16}
_SAM2 = {  # a picture of 32 pixels a side, and the maps of its features
    "vision_config.backbone_feature_sizes": [[8, 8], [4, 4], [2, 2]],
    "prompt_encoder_config.patch_size": 16,
}
SMALL: Final[dict[str, dict[str, Any]]] = {
    "DetrForSegmentation": {"d_model": 128, "encoder_attention_heads": 8, "decoder_attention_heads": 8},
    "lightglue": {
        "keypoint_detector_config.keypoint_decoder_dim": 65,
        "keypoint_detector_config.max_keypoints": 4,
        "intermediate_size": 16,
    },
    "Llama4VisionModel": {"intermediate_size": 32},
    "fastspeech2_conformer_with_hifigan": inside("vocoder_config", _VOCODER),
    "gemma4_audio": {"subsampling_conv_channels": [8, 4]},
    "mllama": {"vision_config.vision_output_dim": 32},
    "molmo2_vision": {"num_position_embeddings": 6},
    "phi4_multimodal_audio": {"nemo_final_size": 1},
    "xcodec": {
        "acoustic_model_config.downsampling_ratios": [5, 2, 2],
        "acoustic_model_config.upsampling_ratios": [5, 2, 2],
        "acoustic_model_config.hop_length": 20,
    },
    "gemma3": {"mm_tokens_per_image": 4},
    "t5gemma2": {"encoder.mm_tokens_per_image": 4},
    "t5gemma2_encoder": {"mm_tokens_per_image": 4},
    "shieldgemma2": {"mm_tokens_per_image": 4},
    "voxtral": {"audio_config.intermediate_size": 32},  # it puts four steps of eight units into one
    "neucodec": {"quantization_levels": (4, 4), "downsampling_ratios": (2, 2)},
    "xcodec2": {"quantization_levels": (4, 4), "downsampling_ratios": (2, 2)},
    "xlstm": {"hidden_size": 128, "embedding_dim": 128},  # its widths are multiples of 64, half of them included
    "zamba": {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2},
    "sam2": _SAM2,
    "sam2_video": _SAM2,
    "edgetam_video": _SAM2,
    "omdet-turbo": {"encoder_in_channels": [16, 32, 64], "text_config.hidden_size": 12}
    | dict.fromkeys(("class_embed_dim", "text_projection_in_dim", "text_projection_out_dim"), 12),
    "perception_lm": {"vision_config.model_args": {"embed_dim": 8}},
    "pi0": {"dit_config.head_dim": 4},
    "align": inside("vision_config", _CHANNELS | {"hidden_dim": 128}),
    "align_vision_model": _CHANNELS | {"hidden_dim": 128},
    "autoformer": {"feature_size": 11},
    "bridgetower": {"vision_config.hidden_size": 64},  # a head for 64 units
    "bridgetower_vision_model": {"hidden_size": 64},
    # where the last map has one place only, its position is no position: the first is attended in
    **{name: {"encode_proj_layers": [0]} for name in ("d_fine", "deimv2", "rt_detr", "rt_detr_v2")},
    "granite_docling_vision": {"image_size": 32},  # four places of the coarse map
    "depth_pro": {
        "intermediate_hook_ids": [1],
        "patch_size": 8,
        "image_model_config.image_size": 8,
        "patch_model_config.image_size": 8,
        "fov_model_config.image_size": 8,
    },
    "grounding-dino": _GROUNDED,
    "mm-grounding-dino": _GROUNDED,
    "swin2sr": {"image_size": 4},  # the model has maps of 256 channels
    "PerceiverForImageClassificationLearned": {"image_size": 2},  # 512 channels are written into the model
    "dots3_note": inside("text_config", _SLIDING),
    "dots3_note_text": _SLIDING,
    "kimi_k25_vision": {"hidden_size": 16, "pos_emb_height": 4, "pos_emb_width": 4},
    "glmasr": {"audio_config.intermediate_size": 32},  # it puts four steps of eight units into one
    "clap": inside("audio_config", _SPECTRA),
    "clap_audio_model": _SPECTRA,
    "cosmos3_edge": inside("vision_config", _GRID),
    "cosmos3_edge_vision": _GRID,
    "ernie4_5_vl_moe": inside("text_config", _SECTIONS),
    "ernie4_5_vl_moe_text": _SECTIONS,
    "hiera": {"patch_size": [7, 7]},
    "led": {"attention_window": [4, 4]},
    "longformer": {"attention_window": [4, 4]},
    "qwen2_5_omni_bigvgan": _VOCODER | {"resblock_dilation_sizes": [[1, 3, 5]]},
    "llama4": {"vision_config.intermediate_size": 64},
    "llama4_vision_model": {"intermediate_size": 32},
    "qwen4_exp": {"text_config.indexer_head_dim": 8},
    "qwen4_exp_text": {"indexer_head_dim": 8},
    "bros": {"dim_bbox_projection": 4},
    "kyutai_speech_to_text": {"num_codebooks": 2},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "siglip2": inside("vision_config", _GRID),
    "siglip2_vision_model": _GRID,
    "sam3_tracker": {
        **inside("vision_config.backbone_config", {"image_size": 16, "patch_size": 4, "window_size": 2}),
        "vision_config.backbone_config.pretrain_image_size": 16,
        "vision_config.backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        **inside("prompt_encoder_config", {"image_size": 16, "patch_size": 4}),
    },
    "sam3_lite_text_text_model": {"max_position_embeddings": 5},
    "efficientnet": _CHANNELS | {"hidden_dim": 128},
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 4, "hidden_size": 24, "input_size": 16},
    "reformer": {
        "axial_pos_embds_dim": (4, 4),
        "axial_pos_shape": (4, 8),
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
    },
    "deepseek_v4": {"o_groups": 2},  # no more of them than heads
    "codegen": {"n_head": 4},  # a multiple of four, which is written into the model
}

# Models whose sizes are in lists of lists: a small config of theirs as arguments of its class, not shrunk any more.
_LCNET = {
    "model_type": "pp_lcnet_v4", "stem_channels": (3, 4, 8), "out_features": [f"stage{k}" for k in range(1, 5)],
    "block_configs": [
        [[3, 8, 8, 1, True]], [[3, 8, 8, 2, False]], [[3, 8, 12, 2, False], [3, 12, 12, 1, True]],
        [[3, 12, 16, 2, False]],
    ],
}  # fmt: skip
_LCNET_V3 = {
    "model_type": "pp_lcnet_v3", "stem_channels": 8, "divisor": 8, "out_features": [f"stage{k}" for k in range(2, 6)],
    "block_configs": [
        [[3, 8, 8, 1, False]], [[3, 8, 8, 1, False]], [[3, 8, 16, 1, False]], [[3, 16, 16, 1, False]],
        [[5, 16, 16, 1, True]],
    ],
}  # fmt: skip
TINY: Final[dict[str, dict[str, Any]]] = {
    "efficientloftr": {
        "stage_num_blocks": [1, 2, 1, 1], "stage_stride": [2, 1, 2, 2], "out_features": [8, 8, 8, 16],
        "hidden_size": 16, "num_attention_heads": 2, "num_attention_layers": 2, "q_aggregation_kernel_size": 2,
        "q_aggregation_stride": 2, "kv_aggregation_kernel_size": 2, "kv_aggregation_stride": 2,
        "rope_parameters": _ROPE | {"partial_rotary_factor": 1.0}, "fine_matching_slice_dim": 4,
    },
    "pp_ocrv5_mobile_rec": {
        "backbone_config": _LCNET_V3, "hidden_size": 8, "num_attention_heads": 2, "head_out_channels": 5,
    },
    "pp_ocrv6_medium_det": _DETECTOR | {"backbone_config": _LCNET, "neck_out_channels": 16},
    "pp_ocrv6_small_det": {
        "backbone_config": _LCNET, "neck_out_channels": 16, "layer_list_out_channels": [8, 8, 12, 16],
        "dilated_kernel_size": 3,
    },
    "uvdoc": {
        "backbone_config": {
            "model_type": "uvdoc_backbone", "resnet_head": [[3, 8], [8, 8]],
            "resnet_configs": [[[8, 8, 1, False]], [[8, 8, 1, True]], [[8, 12, 1, True]]],
            "stage_configs": [[[12, 1]], [[12, 2]]], "out_features": ["stage1", "stage2"],
        },
        "bridge_connector": [12, 8], "out_point_positions2D": [[8, 4], [4, 2]], "kernel_size": 3,
    },
}  # fmt: skip

# Models whose code knows no eager attention.
FUSED: Final = frozenset({"Qwen2_5OmniToken2WavDiTModel"})


def config_of(case: Case, config_class: Any, model_class: Any) -> Any:
    """The default config of a case, completed where the class has no default of its own.

    A model of a part of the config gets that part, as from the auto classes.
    """
    given = GIVEN.get(case.model_type, {}) | GIVEN.get(case.model_class, {}) | TINY.get(case.model_type, {})
    config = config_class(**copy.deepcopy(given))
    if case.model_class == "JevForDecision" and case.model_type != "jev":  # a decision on top of any language model
        return CONFIG_MAPPING["jev"](text_config=config)
    wanted = getattr(model_class, "config_class", None)
    if wanted is not None and not isinstance(config, wanted):
        config = next((c for c in vars(config).values() if isinstance(c, wanted)), config)
    return config


def small_of(case: Case, config: Any) -> Any:
    """A small config of a case, as a copy, with what its numbers do not tell."""
    config = copy.deepcopy(config)
    changes = SMALLER.get(case.model_type, {}) | (SMALL.get(case.model_class) or SMALL.get(case.model_type, {}))
    for name, value in changes.items():
        *path, last = name.split(".")
        holder = config
        for step in path:
            holder = getattr(holder, step, holder)  # a model of a part has that part's config
        if hasattr(holder, last):
            setattr(holder, last, value)
    return config
