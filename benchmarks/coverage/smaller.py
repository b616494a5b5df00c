"""Numbers that the generic shrinking leaves large, for single model types, so that their operations can be counted.

Sound is made of a few samples a step, groups of a normalisation keep their written number (32), and what a model
repeats without a count of layers in its config is repeated less often.
"""

from __future__ import annotations

from typing import Any, Final

_ENCODEC = {"upsampling_ratios": [4, 2], "num_filters": 4, "num_lstm_layers": 1}
_MIMI = {"upsampling_ratios": [4, 2], "sampling_rate": 200, "num_filters": 4, "num_quantizers": 4}
_DAC = {
    "downsampling_ratios": [2, 2], "upsampling_ratios": [2, 2], "hop_length": 4, "encoder_hidden_size": 4,
    "decoder_hidden_size": 16, "hidden_size": 16, "n_codebooks": 2,
}  # fmt: skip
VOCODER = {
    "upsample_rates": [2, 2], "upsample_kernel_sizes": [4, 4], "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
}  # fmt: skip
_VQ = {"channel_multiplier": [1, 1], "num_res_blocks": 1, "resolution": 16}


def inside(part: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """The same numbers, of a config inside the config."""
    return {f"{part}.{name}": value for name, value in numbers.items()}


SMALLER: Final[dict[str, dict[str, Any]]] = {
    "chameleon": inside("vq_config", _VQ),
    "chameleon_vqgan": _VQ,
    "clvp": {
        **inside("text_config", {"hidden_size": 64, "projection_dim": 64, "bos_token_id": 2, "eos_token_id": 3}),
        **inside("speech_config", {"hidden_size": 64, "projection_dim": 64}),
        **inside("decoder_config", {"hidden_size": 16, "n_inner": 24, "num_mel_attn_blocks": 1}),
        "decoder_config.decoder_fixing_codes": [4, 5, 5, 6],
    },
    "clvp_encoder": {"hidden_size": 64, "projection_dim": 64},  # a rotary table has at least 32 columns
    "dac": _DAC,
    "emu3": inside("vq_config", _VQ),
    "encodec": _ENCODEC,
    "fastspeech2_conformer_hifigan": VOCODER,
    "florence_vision": {"embed_dim": [8, 16], "num_groups": [2, 4]},
    "groupvit": {"vision_config.num_output_groups": [4, 2]},
    "groupvit_vision_model": {"num_output_groups": [4, 2]},
    "hunyuan_vl": {"vision_config.max_image_size": 24},  # a table of six places a side, resampled to four
    "hunyuan_vl_vision": {"max_image_size": 24},
    "kyutai_speech_to_text": inside("codec_config", _MIMI),
    "janus": inside("vq_config", {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1}),
    "levit": {
        "hidden_sizes": [8, 12, 16],
        "down_ops": [["Subsample", 4, 2, 2, 2, 2], ["Subsample", 4, 3, 2, 2, 2], [""]],
    },
    "mask2former": {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32},
    "maskformer": {"fpn_feature_size": 32, "mask_feature_size": 32},
    "mimi": _MIMI,
    "mimi_decoder": _MIMI,
    "mimi_encoder": _MIMI,
    "mobilenet_v1": {"depth_multiplier": 0.05, "min_depth": 4},
    "mobilenet_v2": {"depth_multiplier": 0.05, "min_depth": 4},
    "mobilevitv2": {"width_multiplier": 0.125},
    "musicgen": inside("audio_encoder", _ENCODEC),
    "musicgen_melody": inside("audio_encoder", _ENCODEC),
    "nemo_speechlm": {"text_config.layers_block_type": ["linear_attention", "moe", "full_attention"]},
    "oneformer": {"conv_dim": 32, "mask_dim": 32, "hidden_dim": 32},
    "perceiver": {"num_self_attends_per_block": 2},
    "speecht5_hifigan": VOCODER,
    "zoedepth": {
        "bin_configurations": [{"n_bins": 4, "min_depth": 0.001, "max_depth": 10.0}],
        "num_attractors": [4, 2, 1, 1],
        "num_relative_features": 8,
    },
}
