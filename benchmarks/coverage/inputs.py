"""What a model of a single type is called with beyond its default inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from benchmarks.coverage.catalogue import Case
from benchmarks.coverage.parts import WHOLE
from graphmerge.errors import TraceError
from graphmerge.trace.defaults import default_inputs
from graphmerge.trace.forms import SIDE, rand


def inputs_of(case: Case, model: torch.nn.Module, config: Any) -> dict[str, Any]:
    """Keyword arguments of the forward pass of a model of a config."""
    if case.model_class in WHOLE:
        return WHOLE[case.model_class](config)
    try:
        found = default_inputs(model).kwargs
    except TraceError:
        found = {}
        if case.model_class not in MORE and case.model_type not in MORE:
            raise
    more = MORE.get(case.model_class) or MORE.get(case.model_type)
    found = found if more is None else found | more(found, config)
    return _smaller(model, found)


def _smaller(model: torch.nn.Module, found: dict[str, Any]) -> dict[str, Any]:
    """The same with a smaller picture, where no size is asked for and the model takes it."""
    picture = found.get("pixel_values")
    if picture is None or picture.dim() != 4 or picture.shape[-2:] != (SIDE, SIDE):
        return found
    for height, width in ((SIDE // 4, SIDE // 4), (SIDE // 2, SIDE // 2), (SIDE // 2, SIDE)):
        small = found | {"pixel_values": rand(*picture.shape[:2], height, width)}
        try:
            with torch.no_grad():
                model(**small)
        except Exception:  # whatever a model raises on a picture that is too small
            continue
        return small
    return found


def _length(found: dict[str, Any]) -> int:
    return found["input_ids"].shape[-1]


def _boxes(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """A box of a page for each id, by its corners; where one ends the next begins, so that no row has one use only."""
    side = torch.arange(_length(found)) % 12
    return {"bbox": torch.stack([side, side, side + 1, side + 1], -1)[None]}


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
def _pair(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """Two pictures to compare."""
    return {"pixel_values": rand(1, 2, 3, 32, 32)}


def _frames_of_four(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """A spectrogram of which four frames make a row."""
    return {"input_features": rand(1, 6, 4 * getattr(config, "encoder_config", config).num_mel_bins)}


def _spoken(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """An id for every frame of the sound, of which there are as many as the encoder makes of it."""
    return {"input_ids": found["input_ids"][:, :6]}


def _phrases(found: dict[str, Any], config: Any) -> dict[str, Any]:
    """A text of phrases, each ended by a token that the model knows: inside of one, tokens have different places."""
    return {"input_ids": torch.tensor([[3, 4, 5, 6, 102, 7, 8, 102, 9, 10, 11]])}


MORE: Final[dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]]] = {
    "Blip2ForImageTextRetrieval": lambda found, config: {"attention_mask": torch.ones_like(found["input_ids"])},
    "efficientloftr": _pair,
    "lightglue": _pair,
    "janus_vqgan": lambda found, config: {"pixel_values": rand(1, 3, 8, 8)},
    "pp_ocrv5_mobile_rec": lambda found, config: {"pixel_values": rand(1, 3, 6, 24)},
    "granite_speech5_ctc": _frames_of_four,
    "granite_speech5_encoder": _frames_of_four,
    "VoxtralRealtimeForConditionalGeneration": _spoken,
    "VoxtralRealtimeModel": _spoken,
    "xcodec": lambda found, config: {"input_values": rand(1, 1, 4 * config.acoustic_model_config.hop_length)},
    "ClvpModelForConditionalGeneration": lambda found, config: {"input_ids": _plain(config.text_config)},
    "JevForDecision": lambda found, config: {
        "marks": torch.tensor([[5, 9]]),
        "num_options": torch.tensor([[2, 2]]),
        "question_type_ids": torch.tensor([[0, 0]]),
    },
    "LongformerForQuestionAnswering": lambda found, config: _marked(found, config.sep_token_id, [2, 5, -1]),
    "LongformerForMultipleChoice": lambda found, config: {
        "input_ids": found["input_ids"].expand(1, 2, -1),
        "global_attention_mask": torch.zeros(1, 2, _length(found), dtype=torch.long),
    },
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
    "grounding-dino": _phrases,
    "mm-grounding-dino": _phrases,
    "fastspeech2_conformer_with_hifigan": lambda found, config: {
        "input_ids": found["input_ids"] % config.model_config.vocab_size
    },
    "instructblip": lambda found, config: {"qformer_input_ids": _plain(config.qformer_config)},
    "instructblipvideo": lambda found, config: {
        "qformer_input_ids": _plain(config.qformer_config),
        "pixel_values": rand(1, 2, 3, config.vision_config.image_size, config.vision_config.image_size),
    },
    "muse_spark_audio": lambda found, config: {"input_values": rand(1, 3840)},
    "qwen2_5_omni_audio_encoder": lambda found, config: {
        "input_features": rand(config.num_mel_bins, 16),
        "feature_lens": torch.tensor([16]),
    },
    "qwen3_omni_moe_audio_encoder": lambda found, config: {
        "input_features": rand(config.num_mel_bins, 16),
        "feature_lens": torch.tensor([16]),
    },
    "kosmos-2": lambda found, config: {
        "image_embeds_position_mask": ((k := torch.arange(_length(found))) > 0)[None] & (k <= config.latent_query_num)
    },
    "kyutai_speech_to_text": lambda found, config: {
        "input_ids": found["input_ids"][..., None].repeat(1, 1, config.num_codebooks + 1)
    },
    "musicgen": lambda found, config: _sung(found, config),
    "musicgen_melody": lambda found, config: _sung(found, config),
    "blip_2_qformer": lambda found, config: {
        "query_embeds": rand(1, 3, config.hidden_size),
        "encoder_hidden_states": rand(1, 5, config.encoder_hidden_size),
    },
    "decision_transformer": lambda found, config: {
        "states": rand(1, 4, config.state_dim),
        "actions": rand(1, 4, config.act_dim),
        "rewards": rand(1, 4, 1),
        "returns_to_go": rand(1, 4, 1),
        "timesteps": torch.arange(4)[None],
        "attention_mask": torch.ones(1, 4),
    },
    "fastspeech2_conformer_hifigan": lambda found, config: {"spectrogram": rand(1, 6, config.model_in_dim)},
    "florence_vision": lambda found, config: {"hidden_states": rand(1, 3, 16, 16)},
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
    "MllamaForCausalLM": lambda found, config: {},
    "MllamaTextModel": lambda found, config: {},
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
    # patches of three bytes each: by itself the model cuts where activations say, which cannot be unrolled
    "blt": lambda found, config: {"use_cache": False, "patch_lengths": torch.tensor([[1, 3, 3, 4]])},
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
