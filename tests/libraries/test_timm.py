"""timm's vision models, where timm is installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.proof import assert_complete, assert_sound

try:
    from timm.models.beit import Beit
    from timm.models.convnext import ConvNeXt
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.vision_transformer import VisionTransformer
except (ImportError, RuntimeError) as error:  # wheels of torchvision, which timm imports, do not load without CUDA
    pytest.skip(f"timm cannot be imported: {error}", allow_module_level=True)

ODD: dict[str, Any] = {"img_size": 8, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 3, "mlp_ratio": 1.5}
TINY: dict[str, Any] = {
    "img_size": 2, "patch_size": 1, "in_chans": 2, "embed_dim": 4, "depth": 1, "num_heads": 2, "mlp_ratio": 0.75,
}  # fmt: skip
BIASED = {"init_values": 0.1, "use_rel_pos_bias": True, "use_abs_pos_emb": False}
MODELS = {"ViT": (VisionTransformer, {}), "DeiT": (VisionTransformerDistilled, {}), "BEiT": (Beit, BIASED)}


@pytest.mark.parametrize("name", MODELS)
def test_transformers(name: str) -> None:
    kind, more = MODELS[name]
    torch.manual_seed(0)
    assert_sound(kind(num_classes=3, **ODD, **more), torch.rand(1, 3, 8, 8))
    assert_complete(kind(num_classes=3, **TINY, **more), torch.rand(1, 2, 2, 2))


def test_shifted_windows() -> None:
    torch.manual_seed(0)
    odd = SwinTransformer(16, 2, num_classes=3, window_size=2, embed_dim=6, depths=(2, 2), num_heads=(2, 4))
    assert_sound(odd, torch.rand(1, 3, 16, 16))
    tiny = SwinTransformer(4, 1, 2, 3, window_size=2, embed_dim=4, depths=(2,), num_heads=(2,), mlp_ratio=0.75)
    assert_complete(tiny, torch.rand(1, 2, 4, 4))


def test_convolutions() -> None:
    torch.manual_seed(0)
    assert_sound(ConvNeXt(3, 3, depths=(1, 1, 1, 1), dims=(6, 7, 9, 10)), torch.rand(1, 3, 32, 32))
