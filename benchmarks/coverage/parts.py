"""What parts of models are called with: what another part of the same model would give them.

Each row is all of the arguments of a part, from its config.
"""

from __future__ import annotations

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


_Row = Callable[[Any], dict[str, Any]]
# By class.
WHOLE: Final[dict[str, _Row]] = {
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
