"""Control flow that depends on data: other weights and inputs may lead another way through the model.

What one way does not read would be pinned, and what another way needs would be free. So some ways are traced, and the
solution of all of them together is their meet. A way that no draw takes is not seen: the verification draws again.
"""

from __future__ import annotations

import copy

import torch

from graphmerge.trace.inputs import Inputs
from graphmerge.trace.program import Program

DRAWS = 6
DEPENDS = "the forward pass depends on values"


def other_values(model: torch.nn.Module, inputs: Inputs, seed: int) -> tuple[torch.nn.Module, Inputs]:
    """A copy of the model with weights drawn anew, and inputs drawn anew: ids in another order, numbers of any size."""
    generator = torch.Generator().manual_seed(seed)
    other = copy.deepcopy(model)
    gain = (1.0, 3.0, 0.3)[seed % 3]
    with torch.no_grad():
        for tensor in (p for p in other.parameters() if p.is_floating_point()):
            size = gain * min(tensor.shape[0], tensor.shape[-1]) ** -0.5 if tensor.dim() > 1 else 0.3
            tensor.copy_(tensor.mean() * (tensor.dim() < 2) + size * torch.randn(tensor.shape, generator=generator))
    drawn = {}
    for name, tensor in inputs.tensors.items():
        noise = torch.randn(tensor.shape, generator=generator) + torch.randn((), generator=generator)
        order = torch.randperm(tensor.numel(), generator=generator)
        same = tensor.flatten()[order].reshape(tensor.shape)
        drawn[name] = noise.to(tensor.dtype) if tensor.is_floating_point() else same
    return other, inputs.with_tensors(drawn)


def numbers_decide(program: Program) -> bool:
    """Does anything that decides depend on weights or real inputs? Ids alone decide alike for all weights."""
    wanted = set(program.decided)
    for node in reversed(program.nodes):
        if any(out.name in wanted for out in node.outputs):
            wanted |= {ref.name for ref in node.reads}
    given = {f"input:{name}" for name, tensor in program.example.tensors.items() if tensor.is_floating_point()}
    weights = {t.name for t in program.tensors.values() if t.kind in ("parameter", "buffer")}
    return bool(wanted & (given | weights))


def way_of(program: Program) -> tuple[str, ...]:
    """The ops that ran: what tells one way from another."""
    return tuple(node.op for node in program.nodes)


IDS_DECIDE = f"{DEPENDS}, but of ids alone: it was followed for those that were given"


def note_of(ways: int) -> str:
    return (
        f"{DEPENDS}: of {DRAWS + 1} draws of weights and inputs every way that they took was followed "
        f"(ways: {ways}); others would not be seen"
    )
