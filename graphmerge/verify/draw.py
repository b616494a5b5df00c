"""Random weights and inputs that hide nothing: no bias of zero, no gain of one, no two tokens alike."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType

import torch

from graphmerge.trace.inputs import Inputs
from graphmerge.trace.program import Program, Ref


def draw_weights(
    program: Program,
    state: Mapping[str, torch.Tensor],
    generator: torch.Generator,
    gain: float = 1.0,
    loud: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, torch.Tensor]:
    """Every parameter and moving buffer drawn anew, in float64; constants keep their values.

    Matrices have entries of variance gain² / (the smaller of their outer sizes): a large gain makes attention far from
    even, a small one keeps tokens apart in deep models. ``loud`` has factors for single matrices. Tables that ids look
    up have variance 1. Vectors lie around the mean of the model's own (gains near one stay there) with a deviation of
    0.3; buffers are positive, as variances are.
    """
    drawn = {}
    tables = {weight.name for weight, _ in _look_ups(program)}
    for name, tensor in state.items():
        info = program.tensors.get(name)
        if info is None or info.kind == "constant" or not tensor.is_floating_point():
            drawn[name] = tensor.detach().cpu()
        elif info.kind == "buffer":
            drawn[name] = 0.5 + torch.rand(tensor.shape, dtype=torch.float64, generator=generator)
        else:
            noise = torch.randn(tensor.shape, generator=generator).double()  # drawn several times faster than doubles
            if tensor.dim() < 2:
                center = 0.0 if tensor.is_meta or not tensor.numel() else float(tensor.detach().double().mean())
                drawn[name] = center + 0.3 * noise
            else:
                narrow = max(1, min(tensor.shape[0], tensor.shape[-1]))  # a tensor may be empty
                size = 1.0 if name in tables else gain * loud.get(name, 1.0) * narrow**-0.5
                drawn[name] = size * noise
    return drawn


def draw_inputs(program: Program, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Ids drawn without repeats from the rows that they look up, real inputs from their own range; masks stay."""
    rows = vocabularies(program)
    drawn = {}
    for name, tensor in program.example.tensors.items():
        if name in rows:
            ids = torch.randperm(rows[name], generator=generator)
            tensor = ids[torch.arange(tensor.numel()) % rows[name]].reshape(tensor.shape).to(tensor.dtype)
        elif tensor.is_floating_point() and tensor.dim() > 2 and tensor.numel():
            low, high = float(tensor.min()), float(tensor.max())
            width = high - low if high > low else 1.0
            tensor = low + width * torch.rand(tensor.shape, dtype=torch.float64, generator=generator)
        drawn[name] = tensor.cpu()
    return drawn


def vocabularies(program: Program) -> dict[str, int]:
    """For each input that an embedding looks up as it is: how many rows there are."""
    found: dict[str, int] = {}
    for weight, ids in _look_ups(program):
        if ids.name.startswith("input:"):
            name = ids.name.removeprefix("input:")
            found[name] = min(weight.shape[0], found.get(name, weight.shape[0]))
    return found


def _look_ups(program: Program) -> list[tuple[Ref, Ref]]:
    """Table and ids of every embedding."""
    calls = [node.args[:2] for node in program.nodes if node.op.startswith("aten.embedding.")]
    return [(weight, ids) for weight, ids in calls if isinstance(weight, Ref) and isinstance(ids, Ref)]


def padded(model: torch.nn.Module, inputs: Inputs) -> Inputs:
    """The same inputs with the last position masked out, where the model takes a mask and there is room."""
    ids = inputs.kwargs.get("input_ids")
    mask = inputs.kwargs.get("attention_mask")
    if mask is None and isinstance(ids, torch.Tensor) and ids.dim() == 2:
        if "attention_mask" not in inspect.signature(model.forward).parameters:
            return inputs
        mask = torch.ones_like(ids)
    if not isinstance(mask, torch.Tensor) or mask.dim() != 2 or mask.shape[1] < 3:
        return inputs
    mask = mask.clone()
    mask[:, -1] = 0
    return Inputs(inputs.args, {**inputs.kwargs, "attention_mask": mask})
