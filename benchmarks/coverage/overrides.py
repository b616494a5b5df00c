"""What a default config or the default inputs leave open, for single model types.

Nothing here is about what is derived: only about how a tiny model is built, and what it is called with.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import torch
from transformers import CONFIG_MAPPING

from benchmarks.coverage.catalogue import Case
from graphmerge.errors import TraceError
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.forms import rand

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
GIVEN: Final[dict[str, dict[str, Any]]] = {
    "T5GemmaEncoderModel": {"is_encoder_decoder": False},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "moonshine_streaming": {"num_key_value_heads": 8},
    "pix2struct_text_model": {"initializer_range": 0.02},
    "sapiens2": {"head_config": _HEAD},
    "shieldgemma2": {"yes_token_index": 10784, "no_token_index": 3771},
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
    "ReformerModelWithLMHead": {"is_decoder": True},
    "align_vision_model": _NARROW,
    "align": {"vision_config": _NARROW},
    "aria": {"projector_patch_to_query_dict": {16: 4, 9: 2}},
    "autoformer": {"prediction_length": 4},
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
    "deepseek_ocr2": {"text_config": _MOE},
    "deepseek_ocr2_text": _MOE,
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8}},
    "diffusion_gemma": {"text_config": _EXPERTS},
    "diffusion_gemma_text": _EXPERTS,
    "efficientnet": _NARROW,
    "dots1": {"n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"] * 16},
    "esm": {"vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "hunyuan_vl_text": {"head_dim": 128},
    "informer": {"prediction_length": 4},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "ministral": {"head_dim": 128},
    "nemotron": {"head_dim": 128, "num_key_value_heads": 8},
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen4_exp_text": _INDEXER,
    "reformer": {"axial_pos_embds_dim": [64, 192]},
    "time_series_transformer": {"prediction_length": 4},
    "wav2vec2-conformer": {"vocab_size": 32},
}

# What does not follow from the names of a config's numbers, once they are small: "text_config.head_dim" is inside.
_CHANNELS = {"in_channels": [32, 16, 24, 40, 80, 112, 192], "out_channels": [16, 24, 40, 80, 112, 192, 320]}
_SECTIONS = {"head_dim": 8, "rope_parameters": _ROPE | {"mrope_section": [1, 1, 2]}}
SMALL: Final[dict[str, dict[str, Any]]] = {
    "align": {f"vision_config.{n}": v for n, v in (_CHANNELS | {"hidden_dim": 128}).items()},
    "align_vision_model": _CHANNELS | {"hidden_dim": 128},
    "autoformer": {"feature_size": 9},
    "bridgetower": {"vision_config.hidden_size": 64},  # a head for 64 units
    "bridgetower_vision_model": {"hidden_size": 64},
    "clap": {"audio_config.spec_size": 32},
    "clap_audio_model": {"spec_size": 32},
    "ernie4_5_vl_moe": {f"text_config.{n}": v for n, v in _SECTIONS.items()},
    "ernie4_5_vl_moe_text": _SECTIONS,
    "kosmos_2_5_vision_model": {"patch_embed_hidden_size": 48},
    "led": {"attention_window": [4, 4]},
    "llama4": {"vision_config.intermediate_size": 64},
    "llama4_vision_model": {"intermediate_size": 32},
    "pix2struct": {"vision_config.patch_embed_hidden_size": 48},
    "pix2struct_vision_model": {"patch_embed_hidden_size": 48},
    "qwen4_exp": {"text_config.indexer_head_dim": 8},
    "qwen4_exp_text": {"indexer_head_dim": 8},
    "bros": {"dim_bbox_projection": 4},
    "kyutai_speech_to_text": {"num_codebooks": 2},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "cvt": {"depth": [1, 2, 3]},
    "efficientnet": _CHANNELS | {"hidden_dim": 128},
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 4, "hidden_size": 24, "input_size": 16},
    "reformer": {
        "axial_pos_embds_dim": (4, 4),
        "axial_pos_shape": (4, 8),
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
    },
    "codegen": {"n_head": 4},  # a multiple of four, which is written into the model
}


def config_of(case: Case, config_class: Any, model_class: Any) -> Any:
    """The default config of a case, completed where the class has no default of its own.

    A model of a part of the config gets that part, as from the auto classes.
    """
    given = GIVEN.get(case.model_type, {}) | GIVEN.get(case.model_class, {})
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
    for name, value in SMALL.get(case.model_type, {}).items():
        *path, last = name.split(".")
        holder = config
        for step in path:
            holder = getattr(holder, step)
        setattr(holder, last, value)
    return config


def inputs_of(case: Case, model: torch.nn.Module) -> dict[str, Any]:
    """Keyword arguments of the forward pass."""
    try:
        found = default_inputs(model).kwargs
    except TraceError:
        found = {}
        if case.model_type not in MORE:
            raise
    more = MORE.get(case.model_class) or MORE.get(case.model_type)
    return found if more is None else found | more(found, model.config)


def _length(found: dict[str, Any]) -> int:
    return found["input_ids"].shape[-1]


def _boxes(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """A box of a page for each id, by its corners."""
    side = torch.arange(_length(found)) % 12
    return {"bbox": torch.stack([side, side, side + 3, side + 4], -1)[None]}


def _tiled(config: Any) -> dict[str, Any]:
    """A picture in tiles, with the shape that these make up."""
    tiles, side = config.max_num_tiles, config.image_size
    return {
        "pixel_values": rand(1, 1, tiles, config.num_channels, side, side),
        "aspect_ratio_ids": torch.ones(1, 1, dtype=torch.long),
        "aspect_ratio_mask": torch.ones(1, 1, tiles, dtype=torch.long),
    }


def _marked(found: dict[str, Any], token: int, places: list[int]) -> dict[str, Any]:
    """The ids with a token at some places."""
    ids = found["input_ids"].clone()
    ids[..., places] = token
    return {"input_ids": ids}


def _plain(config: Any) -> torch.Tensor:
    return torch.arange(3, 14)[None] % config.vocab_size


def _codebooks(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """A row of ids for each codebook."""
    return {"input_ids": found["input_ids"].repeat(config.num_codebooks, 1)}


def _sung(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """A text, and a row of ids for each codebook of the sound."""
    rows = _plain(config.decoder).repeat(config.decoder.num_codebooks, 1)
    texts = {"input_ids": _plain(config.text_encoder), "decoder_input_ids": rows}
    return texts | ({"input_features": rand(1, 8, config.num_chroma)} if hasattr(config, "num_chroma") else {})


# What a model needs beyond its default inputs, by model type: from these and the config.
MORE: Final[dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]]] = {
    "Blip2ForImageTextRetrieval": lambda found, config: {"attention_mask": torch.ones_like(found["input_ids"])},
    "JevForDecision": lambda found, config: {
        "marks": torch.tensor([[5, 9]]),
        "num_options": torch.tensor([[2, 2]]),
        "question_type_ids": torch.tensor([[0, 0]]),
    },
    "LongformerForQuestionAnswering": lambda found, config: _marked(found, config.sep_token_id, [2, 5, 8]),
    "MusicgenForCausalLM": _codebooks,
    "MusicgenMelodyForCausalLM": _codebooks,
    "MusicgenMelodyModel": _codebooks,
    "MusicgenModel": _codebooks,
    "SplinterForPreTraining": lambda found, config: _marked(found, config.question_token_id, [3]),
    "SpeechT5ForTextToSpeech": lambda found, config: {"decoder_input_values": rand(1, 4, config.num_mel_bins)},
    "dia": lambda found, config: {
        "decoder_input_ids": found["decoder_input_ids"][..., None].repeat(1, 1, config.decoder_config.num_channels)
    },
    "dia_decoder": lambda found, config: {"input_ids": found["input_ids"][..., None].repeat(1, 1, config.num_channels)},
    "fastspeech2_conformer_with_hifigan": lambda found, config: {
        "input_ids": found["input_ids"] % config.model_config.vocab_size
    },
    "instructblip": lambda found, config: {"qformer_input_ids": _plain(config.qformer_config)},
    "instructblipvideo": lambda found, config: {"qformer_input_ids": _plain(config.qformer_config)},
    "kosmos-2": lambda found, config: {
        "image_embeds_position_mask": ((k := torch.arange(_length(found))) > 0)[None] & (k <= config.latent_query_num)
    },
    "kyutai_speech_to_text": lambda found, config: {
        "input_ids": found["input_ids"][..., None].repeat(1, 1, config.num_codebooks + 1)
    },
    "musicgen": lambda found, config: _sung(found, config),
    "musicgen_melody": lambda found, config: _sung(found, config),
    "blip_2_qformer": lambda found, config: {"query_embeds": rand(1, 3, config.hidden_size)},
    "chameleon_vqgan": lambda found, config: {"pixel_values": rand(1, 3, 64, 64)},
    "decision_transformer": lambda found, config: {
        "states": rand(1, 4, config.state_dim),
        "actions": rand(1, 4, config.act_dim),
        "rewards": rand(1, 4, 1),
        "returns_to_go": rand(1, 4, 1),
        "timesteps": torch.arange(4)[None],
        "attention_mask": torch.ones(1, 4),
    },
    "fastspeech2_conformer_hifigan": lambda found, config: {"spectrogram": rand(1, 6, config.model_in_dim)},
    "florence_vision": lambda found, config: {"pixel_values": rand(1, 3, 64, 64)},
    "gemma3n_audio": lambda found, config: {
        "audio_mel": rand(1, 48, config.input_feat_size),
        "audio_mel_mask": torch.zeros(1, 48, dtype=torch.bool),
    },
    "idefics": lambda found, config: {
        "pixel_values": rand(1, 1, 3, config.vision_config.image_size, config.vision_config.image_size),
        "image_attention_mask": torch.ones(1, _length(found), 1, dtype=torch.long),
    },
    "idefics2_perceiver": lambda found, config: {
        "context": rand(1, 5, config.hidden_size),
        "attention_mask": torch.ones(1, 5, dtype=torch.long),
    },
    "mllama_vision_model": lambda found, config: _tiled(config),
    "MllamaVisionModel": lambda found, config: _tiled(config),
    "mllama": lambda found, config: (
        _tiled(config.vision_config)
        | {
            "cross_attention_mask": torch.ones(
                1, _length(found), 1, config.vision_config.max_num_tiles, dtype=torch.long
            )
        }
    ),
    "oneformer": lambda found, config: {"task_inputs": rand(1, config.task_seq_len)},
    "perceiver": lambda found, config: found or {"inputs": rand(1, 5, config.d_model)},
    "phi4_multimodal_audio": lambda found, config: {"mask": None},
    "speecht5_hifigan": lambda found, config: {"spectrogram": rand(1, 6, config.model_in_dim)},
    "blt": lambda found, config: {"use_cache": False},
    "bros": lambda found, config: {"bbox": rand(1, _length(found), 8)},
    "hrm_text": lambda found, config: {"use_cache": False},
    "layoutlmv3": _boxes,
    "lilt": _boxes,
    "udop": lambda found, config: {"bbox": _boxes(found, config)["bbox"] / 16},
    "lxmert": lambda found, config: {
        "visual_feats": rand(1, 5, config.visual_feat_dim),
        "visual_pos": rand(1, 5, config.visual_pos_dim),
    },
}
