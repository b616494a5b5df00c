"""What a default config or the default inputs leave open, for single model types.

Nothing here is about what is derived: only about how a tiny model is built, and what it is called with.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import torch

from benchmarks.coverage.catalogue import Case
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.forms import rand

# What config classes leave unset although their models need it, as arguments of the class.
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_MOE = {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "mlp_layer_types": ["dense", "sparse"] * 16}
_EXPERTS = {"num_experts": 8, "top_k_experts": 2, "moe_intermediate_size": 704}
_NARROW = {"width_coefficient": 0.1, "depth_coefficient": 0.5, "hidden_dim": 128}
_INDEXER = {
    "indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 128, "indexer_budget": 4,
    "indexer_compress_ratio": 2,
}  # fmt: skip
GIVEN: Final[dict[str, dict[str, Any]]] = {
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
    "dbrx": {"attn_config": {"rope_theta": 10000.0}},
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
SMALL: Final[dict[str, dict[str, Any]]] = {
    "align": {f"vision_config.{n}": v for n, v in (_CHANNELS | {"hidden_dim": 128}).items()},
    "align_vision_model": _CHANNELS | {"hidden_dim": 128},
    "autoformer": {"feature_size": 9},
    "bridgetower": {"vision_config.hidden_size": 64},  # a head for 64 units
    "bridgetower_vision_model": {"hidden_size": 64},
    "cvt": {"depth": [1, 2, 3]},
    "efficientnet": _CHANNELS | {"hidden_dim": 128},
    "layoutlmv3": {"coordinate_size": 4, "shape_size": 4},
    "reformer": {
        "axial_pos_embds_dim": [4, 4],
        "axial_pos_shape": [4, 8],
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
    found = default_inputs(model).kwargs
    more = MORE.get(case.model_type)
    return found if more is None else found | more(found, model.config)


def _length(found: dict[str, Any]) -> int:
    return found["input_ids"].shape[-1]


def _boxes(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """A box of a page for each id, by its corners."""
    side = torch.arange(_length(found)) % 12
    return {"bbox": torch.stack([side, side, side + 3, side + 4], -1)[None]}


# What a model needs beyond its default inputs, by model type: from these and the config.
MORE: Final[dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]]] = {
    "blt": lambda found, config: {"use_cache": False},
    "bros": lambda found, config: {"bbox": rand(1, _length(found), 8)},
    "hrm_text": lambda found, config: {"use_cache": False},
    "layoutlmv3": _boxes,
    "lilt": _boxes,
    "udop": _boxes,
    "lxmert": lambda found, config: {
        "visual_feats": rand(1, 5, config.visual_feat_dim),
        "visual_pos": rand(1, 5, config.visual_pos_dim),
    },
    "musicgen_decoder": lambda found, config: {"input_ids": found["input_ids"].repeat(config.num_codebooks, 1)},
    "musicgen_melody_decoder": lambda found, config: {"input_ids": found["input_ids"].repeat(config.num_codebooks, 1)},
}
