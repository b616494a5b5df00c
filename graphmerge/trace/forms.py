"""Tensors for pictures, sound and series: for each kind the forms that models take it in, the likeliest first.

Names and configs do not always tell the forms apart (a picture, or a list of pictures?); `defaults` then tries them.
A form is a dict of arguments: the tensor, and what goes with it (sizes, grids, masks).
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch

from graphmerge.trace.asked import Asked
from graphmerge.trace.inputs import LENGTHS

Form = dict[str, Any]
SIDE: Final = 64  # pixels, where a config names no size of pictures
FRAMES: Final = 48  # of a spectrogram, where a config names no length
SAMPLES: Final = 1600
STEPS: Final = 3  # of features of a waveform


def rand(*shape: int) -> torch.Tensor:
    """Numbers between 0 and 1, always the same."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def image_forms(asked: Asked) -> list[Form]:
    """Pictures, for models that accept ``pixel_values`` or a like name."""
    name = asked.wants("pixel_values", "images", "image", "image_pixel_values", "image_patches", "flattened_patches")
    if name is None and {"hidden_states", "grid_thw"} <= asked.required:
        name = "hidden_states"
    if name is None:
        return []
    height, width = _sides(asked, "image")
    channels = asked.number("image", "num_channels", "in_channels", "in_chans", "image_channels", default=3)
    channels = channels if type(channels) is int else 3
    picture: Form = {name: rand(1, channels, height, width)}
    several: Form = {name: rand(1, 1, channels, height, width)}
    tiles: Form = {name: rand(1, 2, channels, height, width)}
    forms = [picture, several, tiles, *_flat_forms(asked, name, channels)]
    if sizes := asked.wants("image_sizes", "target_sizes"):
        whole: Form = {name: rand(1, 3, channels, height, width)}  # a picture, and the two tiles that it is cut into
        forms += [form | {sizes: torch.tensor([[height, width]])} for form in (picture, several, tiles, whole)]
    frames = asked.number("image", "num_frames")
    if type(frames) is int and not asked.wants("input_ids"):
        forms.insert(0, {name: rand(1, frames, channels, height, width)})
    return [*_patch_forms(asked, name, channels), *forms]


def _sides(asked: Asked, kind: str) -> tuple[int, int]:
    """Height and width of a picture."""
    names = ("image_size", "img_size", "input_size", "resolution", "pretrain_image_size", "frame_size", "crop_size")
    size = asked.number(kind, *names, default=SIDE)
    if isinstance(size, dict):
        size = [size.get("height", SIDE), size.get("width", SIDE)]
    pair = [*size] if isinstance(size, (list, tuple)) else [size]
    return pair[-min(2, len(pair))], pair[-1]


def _patch_forms(asked: Asked, name: str, channels: int) -> list[Form]:
    """Pictures cut into patches in advance, one row for each, with the shape of the grid that they come from."""
    patch = asked.number("image", "patch_size", default=None)
    if type(patch) is not int:
        return []
    merge = asked.number("image", "spatial_merge_size", "merge_size", "merge_kernel_size", "pooling_kernel_size")
    merge = merge[0] if isinstance(merge, (list, tuple)) else merge or 2
    rows, columns = 2 * merge, 2 * merge
    steps = asked.number("image", "temporal_patch_size", "patch_temporal", default=1)
    steps = steps if type(steps) is int else 1
    flat = rand(rows * columns, channels * steps * patch * patch)
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))[None]
    forms: list[Form] = []
    if grid := asked.wants("image_grid_thw", "grid_thw"):
        where = torch.tensor([[1, rows, columns]])
        merged = asked.wants("image_merge_sizes", "merge_sizes")
        forms.append({name: flat, grid: where} | ({merged: torch.tensor([merge])} if merged else {}))
        if steps == 1:
            square = flat.reshape(-1, channels, patch, patch)
            forms += [{name: square, grid: where}, {name: square[None], grid: where}]
    if grid := asked.wants("image_grid_hw", "grid_hw"):
        forms.append({name: flat, grid: torch.tensor([[rows, columns]])})
    if grid := asked.wants("image_position_ids", "pixel_position_ids"):
        forms.append({name: flat[None], grid: places})
    if grid := asked.wants("spatial_shapes"):
        mask = asked.wants("pixel_attention_mask") or "pixel_attention_mask"
        forms.append({name: flat[None], grid: torch.tensor([[rows, columns]]), mask: torch.ones(1, rows * columns)})
    return forms


def _flat_forms(asked: Asked, name: str, channels: int) -> list[Form]:
    """Rows for patches, without a word about where they are."""
    patch, width = asked.number("image", "patch_size"), asked.number("image", "patch_embed_hidden_size")
    width = patch * patch * channels if type(patch) is int and width is None else width
    if type(width) is not int:
        return []
    row = rand(1, 4, width)
    places = torch.tensor([[[1, 1], [1, 2], [2, 1], [2, 2]]], dtype=row.dtype)  # in front of the row of each
    return [{name: row}, {name: torch.cat([places, row], 2)}]


def video_forms(asked: Asked) -> list[Form]:
    """Pictures in a row, for models that take nothing else."""
    name = asked.wants("pixel_values_videos")
    if name is None:
        return []
    height, width = _sides(asked, "video")
    channels = asked.number("video", "num_channels", "in_channels", "in_chans", default=3)
    frames = asked.number("video", "num_frames", "frames_per_clip", "temporal_patch_size", default=2)
    clip = rand(1, frames, channels, height, width)
    return [{name: clip}, {name: clip.transpose(1, 2).contiguous()}]


def audio_forms(asked: Asked) -> list[Form]:
    """Spectrograms and waveforms."""
    if name := asked.wants("input_features"):
        return _spectrograms(asked, name)
    if name := asked.wants("input_values"):
        return [*_waveforms(asked, name), *_spectrograms(asked, name)]
    return []


def _spectrograms(asked: Asked, name: str) -> list[Form]:
    """(1, bins, frames) and (1, frames, bins), with and without a mask over the frames."""
    bins = asked.number(
        "audio", "num_mel_bins", "input_feat_per_channel", "feature_size", "input_feat_size", "n_mels", "mel_bins",
        "feature_projection_input_dim", "input_size", "input_dim", "spec_size", default=80,
    )  # fmt: skip
    bound, window = asked.number("audio", "max_source_positions", "max_length"), asked.number("audio", "n_window")
    frames = 2 * bound if type(bound) is int and bound < SIDE * SIDE else FRAMES
    frames = 2 * window if type(window) is int else frames
    upright, flat = {name: rand(1, bins, frames)}, {name: rand(1, frames, bins)}
    masks = sorted(n for n in asked.accepted if "mask" in n and "feature" in n)
    if name in asked.main and "attention_mask" in asked.accepted:
        masks.append("attention_mask")
    exact = [{name: rand(1, bound, bins)}] if type(bound) is int and bound < SIDE * SIDE else []
    forms = [upright, flat]
    with_mask = [{**form, masks[0]: torch.ones(1, frames, dtype=torch.long)} for form in forms] if masks else []
    return [*forms, *exact, *with_mask, {name: flat[name][:, None]}]


def _waveforms(asked: Asked, name: str) -> list[Form]:
    """(1, samples) and (1, channels, samples)."""
    channels = asked.number("audio", "audio_channels", default=1)
    channels = channels if type(channels) is int else 1
    short, long = _samples(asked, STEPS), _samples(asked, 8 * STEPS)
    return [{name: rand(1, short)}, {name: rand(1, channels, short)}, {name: rand(1, long)}]


def _samples(asked: Asked, steps: int) -> int:
    """As many as give that many steps of features, where the config tells how they are made."""
    strides = asked.number("audio", "conv_stride")
    kernels = asked.number("audio", "conv_kernel", default=strides)
    if isinstance(strides, (list, tuple)) and isinstance(kernels, (list, tuple)):
        samples = steps
        for stride, kernel in zip(reversed(strides), reversed(kernels)):
            samples = (samples - 1) * stride + kernel
        return samples
    ratios = asked.number("audio", "upsampling_ratios", "downsampling_ratios", "upsample_rates")
    if isinstance(ratios, (list, tuple)) and all(type(r) is int for r in ratios):
        return steps * math.prod(ratios)
    hop = asked.number("audio", "hop_length")
    return steps * hop if type(hop) is int else SAMPLES


def feature_forms(asked: Asked) -> list[Form]:
    """Features for a part of a model that gets them from another part."""
    name = next((n for n in ("inputs_embeds", "hidden_states") if n in asked.required or n in asked.main), None)
    if name is None:
        return []
    widths = [asked.number("image", n) for n in ("input_dim", "hidden_size", "d_model", "embed_dim", "dim")]
    return [{name: rand(1, LENGTHS[0], w)} for w in dict.fromkeys(widths) if type(w) is int]


def series_forms(asked: Asked) -> list[Form]:
    """Time series: past values of each channel, and of one."""
    name = asked.wants("past_values")
    if name is None:
        return []
    steps = asked.number("image", "context_length", default=SIDE)
    lags = asked.number("image", "lags_sequence", default=[0])
    steps += max(lags) if isinstance(lags, (list, tuple)) and lags else 0
    channels = asked.number("image", "num_input_channels", "input_size", default=1)
    forms: list[Form] = [{name: rand(1, steps, channels)}, {name: rand(1, steps)}]
    if asked.wants("past_time_features"):
        features = asked.number("image", "num_time_features", default=0)
        ahead = asked.number("image", "prediction_length", default=1)
        for form in forms:
            form |= {"past_time_features": rand(1, steps, features), "past_observed_mask": torch.ones(form[name].shape)}
            form |= {"future_values": rand(1, ahead, *form[name].shape[2:])}
            form |= {"future_time_features": rand(1, ahead, features)}
        forms.reverse()
    return forms
