"""What parts of models are called with: what another part of the same model would give them.

Each row is all of the arguments of a part, from its config.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch

from graphmerge.trace.forms import rand

PLACES: Final = 3  # of a map of features, along each side; its positions are these squared
WORDS: Final = 5  # of a text


def _map(width: int, scale: int = 1) -> torch.Tensor:
    """A map of features; its sides as many times longer."""
    return rand(1, width, scale * PLACES, scale * PLACES)


def _masks(config: Any) -> dict[str, Any]:
    """The mask of a prompt, at four times the resolution of the features."""
    return {"masks": _map(1, 4)}


def _points(config: Any) -> dict[str, Any]:
    """Two points of a prompt, one of them outside of the object, and a mask."""
    side = 4 * config.image_size // config.patch_size
    return {
        "input_points": config.image_size * rand(1, 1, 2, 2),
        "input_labels": torch.tensor([[[1, 0]]]),
        "input_boxes": None,
        "input_masks": rand(1, 1, side, side),
    }


def _prompted(config: Any) -> dict[str, Any]:
    """A picture's features, and a prompt of two tokens."""
    picture = _map(config.hidden_size)
    return {
        "image_embeddings": picture,
        "image_positional_embeddings": picture.flip(-1),
        "sparse_prompt_embeddings": rand(1, 1, 2, config.hidden_size),
        "dense_prompt_embeddings": picture.flip(-2),
        "multimask_output": True,
    }


def _prompted_hq(config: Any) -> dict[str, Any]:
    middle = [rand(1, PLACES, PLACES, config.vit_dim)]
    return _prompted(config) | {"hq_token_only": False, "intermediate_embeddings": middle}


def _prompted_fine(config: Any) -> dict[str, Any]:
    """With features of a higher resolution too."""
    fine = [_map(config.hidden_size // 8, 4), _map(config.hidden_size // 4, 2)]
    return _prompted(config) | {"high_resolution_features": fine}


def _detr_encoder(config: Any) -> dict[str, Any]:
    width = config.hidden_size
    return {
        "vision_features": [_map(width)],
        "vision_pos_embeds": [_map(width).flip(-1)],
        "text_features": rand(1, WORDS, width),
    }


def _detr_decoder(config: Any) -> dict[str, Any]:
    places = rand(1, PLACES * PLACES, config.hidden_size)
    return {
        "vision_features": places,
        "vision_pos_encoding": places.flip(-1),
        "text_features": rand(1, WORDS, config.hidden_size),
        "spatial_shapes": torch.tensor([[PLACES, PLACES]]),
    }


def _mask_decoder(config: Any) -> dict[str, Any]:
    width = config.hidden_size
    return {
        "decoder_queries": rand(1, 2, width),
        "backbone_features": [_map(width, 2), _map(width)],
        "encoder_hidden_states": rand(1, PLACES * PLACES, width),
        "prompt_features": rand(1, WORDS, width),
    }


def _ids(config: Any, count: int = WORDS) -> torch.Tensor:
    """(1, count) different ids."""
    return torch.arange(3, 3 + count)[None] % config.vocab_size


def _features(*shape: int) -> torch.Tensor:
    return rand(1, *shape)


def _spectrogram(config: Any, frames: int, bins: int) -> dict[str, Any]:
    """(1, bins, frames), and a mask over the frames."""
    return {"input_features": rand(1, bins, frames), "input_features_mask": torch.ones(1, frames, dtype=torch.long)}


def _patches(config: Any) -> dict[str, Any]:
    """A picture as one row a patch, for each position that there is."""
    return {"pixel_values": rand(1, config.num_position_embeddings, config.patch_size**2 * config.num_channels)}


def _heard(config: Any, frames: int) -> dict[str, Any]:
    """A waveform, and the features of the same frames."""
    hop = math.prod(config.downsampling_ratios)
    bins = config.semantic_model_config.feature_projection_input_dim
    return {"input_values": rand(1, 1, frames * hop), "input_features": rand(1, frames, bins)}


def _seen(config: Any) -> dict[str, Any]:
    """A text with a picture in it."""
    side, patch = (getattr(config.vlm_config.vision_config, name) for name in ("image_size", "patch_size"))
    picture = torch.full((1, (side // patch) ** 2), config.vlm_config.image_token_index)
    ids = torch.cat([picture, torch.arange(4, 8)[None]], 1)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": rand(1, 1, 3, side, side),
        "pixel_attention_mask": torch.ones(1, 1, dtype=torch.bool),
    }


def _masked_clip(config: Any) -> dict[str, Any]:
    """Frames with half of the patches masked."""
    patches = config.num_frames // config.tubelet_size * (config.image_size // config.patch_size) ** 2
    clip = rand(1, config.num_frames, config.num_channels, config.image_size, config.image_size)
    return {"pixel_values": clip, "bool_masked_pos": torch.arange(patches)[None] % 2 > 0}


_Row = Callable[[Any], dict[str, Any]]
# By class.
WHOLE: Final[dict[str, _Row]] = {
    "BltLocalDecoder": lambda config: {
        "inputs_embeds": rand(1, WORDS, config.hidden_size),
        "patch_embeds": rand(1, 3, config.hidden_size_global),
    },
    "BltLocalEncoder": lambda config: {
        "input_ids": _ids(config),
        "patch_ids": torch.tensor([[0, 0, 1, 1, 2]]),
        "num_patches": 3,
    },
    "DeepseekOcr2VisionEncoder": lambda config: {"inputs_embeds": rand(1, WORDS, config.hidden_size), "num_patches": 2},
    "DiaDecoder": lambda config: {
        "input_ids": _ids(config)[..., None].repeat(1, 1, config.num_channels),
        "encoder_hidden_states": rand(1, 7, config.cross_hidden_size),
    },
    "Dots3NoteAudioModel": lambda config: {
        "input_features": rand(1, config.feature_size, 16),
        "chunk_sample_lengths": torch.tensor([16 * config.hop_length]),
    },
    "FunAsrNanoEncoder": lambda config: {
        "input_features": rand(1, 7, config.input_size),
        "input_features_mask": torch.ones(1, 7, dtype=torch.long),
    },
    "Gemma4AudioModel": lambda config: {
        "input_features": rand(1, 12, config.subsampling_conv_channels[0]),
        "attention_mask": torch.ones(1, 12, dtype=torch.bool),
    },
    "Inkling2VisionModel": lambda config: {
        "pixel_values": rand(4, *[config.spatial_merge_size * config.patch_size] * 2, config.num_channels),
        "image_grid_thw": torch.tensor([[1, 2, 2]]),
    },
    "InklingAudioModel": lambda config: {
        "audio_input_ids": torch.arange(4 * config.n_mel_bins).reshape(1, 4, -1) % config.mel_vocab_size
    },
    "InklingVisionModel": lambda config: {
        "pixel_values": rand(2, config.temporal_patch_size, *[config.patch_size] * 2, config.num_channels)
    },
    "Kimi_K25VisionModel": lambda config: {
        "pixel_values": rand(16, 3, config.patch_size, config.patch_size),
        "grid_thw": torch.tensor([[1, 4, 4]]),
    },
    "MimiDecoderModel": lambda config: {"latents": rand(1, config.hidden_size, 3)},
    "Molmo2Adapter": lambda config: {
        "image_features": rand(1, 8, 2 * config.hidden_size),
        "pooled_patches_idx": torch.arange(8).reshape(2, 4),
    },
    "Molmo2VisionModel": _patches,
    "MoshiDepthDecoder": lambda config: {
        "input_ids": _ids(config, config.num_codebooks),
        "last_hidden_state": rand(1, config.num_codebooks, config.input_size),
    },
    "MuseGlimmerAssistantModel": lambda config: {
        "noise_embeds": rand(1, config.block_size, config.hidden_size),
        "context_hidden_states": rand(1, WORDS, config.hidden_size * len(config.target_layer_ids)),
        "position_ids": torch.arange(WORDS + config.block_size)[None],
        "attention_mask": torch.ones(1, WORDS + config.block_size, dtype=torch.long),
    },
    "NeuCodecModel": lambda config: _heard(config, 6),
    "OmDetTurboForObjectDetection": lambda config: {
        "pixel_values": rand(1, 3, 64, 64),
        "classes_input_ids": _ids(config.text_config).repeat(2, 1),
        "classes_attention_mask": torch.ones(2, WORDS, dtype=torch.long),
        "tasks_input_ids": _ids(config.text_config),
        "tasks_attention_mask": torch.ones(1, WORDS, dtype=torch.long),
        "classes_structure": torch.tensor([2]),
    },
    "PI0Model": lambda config: {
        "action_embeds": rand(1, config.chunk_size, config.dit_config.hidden_size),
        **_seen(config),
    },
    "PI0ForConditionalGeneration": lambda config: {
        "state": rand(1, config.max_state_dim),
        "noise": rand(1, config.chunk_size, config.max_action_dim),
        "timestep": torch.tensor([0.5]),
        **_seen(config),
    },
    **dict.fromkeys(
        ("DepthProModel", "DepthProForDepthEstimation"), lambda config: {"pixel_values": rand(1, 3, 16, 16)}
    ),
    "DetrForSegmentation": lambda config: {"pixel_values": rand(1, 3, 32, 64)},  # so that height and width differ
    "PerceiverForImageClassificationConvProcessing": lambda config: {"pixel_values": rand(1, 3, 12, 12)},
    "PerceiverForImageClassificationFourier": lambda config: {"pixel_values": rand(1, 3, 6, 6)},
    "PocketTTSAudioTokenizerDecoderModel": lambda config: {"latents": rand(1, config.hidden_size, 3)},
    "Qwen2_5OmniToken2WavDiTModel": lambda config: {
        "hidden_states": rand(1, 6, config.mel_dim),
        "condition_vector": rand(1, 6, config.mel_dim),
        "speaker_embedding": rand(1, 6, config.enc_emb_dim),
        "quantized_code": torch.tensor([[3, 4, 5]]),
        "time_step": torch.tensor(0.5),
        "apply_cfg": False,
    },
    "RagModel": lambda config: {
        "input_ids": _ids(config.question_encoder),
        "context_input_ids": _ids(config.generator).repeat(2, 1),
        "context_attention_mask": torch.ones(2, WORDS, dtype=torch.long),
        "decoder_input_ids": _ids(config.generator),
        "doc_scores": rand(1, 2),
        "n_docs": 2,
    },
    "SpeechT5Model": lambda config: {
        "input_values": rand(1, WORDS, config.hidden_size),
        "decoder_input_values": rand(1, 3, config.hidden_size),
    },
    "UnlimitedOcrVisionEncoder": lambda config: {
        "patch_embeds": rand(1, config.hidden_size, *[config.image_size // config.patch_size] * 2)
    },
    "VibeVoiceAcousticTokenizerDecoderModel": lambda config: {"hidden_states": rand(1, config.hidden_size, 3)},
    "VibeVoiceAcousticTokenizerEncoderModel": lambda config: {
        "hidden_states": rand(1, config.channels, 3 * math.prod(config.downsampling_ratios))
    },
    "VideoMAEForPreTraining": _masked_clip,
    "XCLIPVisionModel": lambda config: {"pixel_values": rand(2, 3, config.image_size, config.image_size)},
    "Xcodec2Model": lambda config: _heard(config, 6),
    "Qwen2_5OmniToken2WavBigVGANModel": lambda config: {"mel_spectrogram": rand(1, config.mel_dim, 4)},
    "Qwen3ASREncoder": lambda config: _spectrogram(config, 2 * config.n_window, config.num_mel_bins),
    "Qwen3OmniMoeTalkerCodePredictorModel": lambda config: {"inputs_embeds": rand(1, WORDS, config.hidden_size)},
    "Qwen3OmniMoeTalkerModel": lambda config: {"inputs_embeds": rand(1, WORDS, config.hidden_size)},
    "SegGptModel": lambda config: {
        "pixel_values": rand(1, 3, config.image_size[0] // 2, config.image_size[1]),
        "prompt_pixel_values": rand(1, 3, config.image_size[0] // 2, config.image_size[1]).flip(-1),
        "prompt_masks": rand(1, 3, config.image_size[0] // 2, config.image_size[1]).flip(-2),
    },
    "SpeechEncoderDecoderModel": lambda config: {
        "input_values": rand(1, 70),
        "decoder_input_ids": _ids(config.decoder),
    },
    "T5Gemma2Decoder": lambda config: {
        "input_ids": _ids(config),
        "encoder_hidden_states": rand(1, 7, config.hidden_size),
    },
    "TimesFmModel": lambda config: {
        "past_values": rand(1, 3 * config.patch_length),
        "past_values_padding": torch.zeros(1, 3 * config.patch_length),
        "freq": torch.tensor([[0]]),
    },
    "VideoLlama3VisionModel": lambda config: {
        "pixel_values": rand(16, config.num_channels * config.patch_size**2),
        "grid_thw": torch.tensor([[1, 4, 4]]),
        "merge_sizes": torch.tensor([2]),
    },
    "VoxtralRealtimeTextModel": lambda config: {
        "input_ids": _ids(config),
        "t_cond": rand(1, 1, config.hidden_size),
    },
    "SamMaskEmbedding": _masks,
    "SamHQMaskEmbedding": _masks,
    **dict.fromkeys(("Sam2PromptEncoder", "Sam2VideoPromptEncoder"), _points),
    **dict.fromkeys(("EdgeTamPromptEncoder", "EdgeTamVideoPromptEncoder"), _points),
    **dict.fromkeys(("Sam3TrackerPromptEncoder", "Sam3TrackerVideoPromptEncoder"), _points),
    "SamMaskDecoder": _prompted,
    "SamHQMaskDecoder": _prompted_hq,
    **dict.fromkeys(("Sam2MaskDecoder", "Sam2VideoMaskDecoder"), _prompted_fine),
    **dict.fromkeys(("EdgeTamMaskDecoder", "EdgeTamVideoMaskDecoder"), _prompted_fine),
    **dict.fromkeys(("Sam3TrackerMaskDecoder", "Sam3TrackerVideoMaskDecoder"), _prompted_fine),
    **dict.fromkeys(("Sam3DetrEncoder", "Sam3LiteTextDetrEncoder"), _detr_encoder),
    **dict.fromkeys(("Sam3DetrDecoder", "Sam3LiteTextDetrDecoder"), _detr_decoder),
    **dict.fromkeys(("Sam3MaskDecoder", "Sam3LiteTextMaskDecoder"), _mask_decoder),
}
