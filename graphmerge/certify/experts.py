"""Stacked experts: every expert on every token, weighted by what the router gives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

DENSE: Final = "graphmerge_certify"  # name of `every_expert` among the implementations that a config can choose


@contextmanager
def dense(model: torch.nn.Module) -> Iterator[None]:
    """Let a model's stacked experts run as `every_expert`. (The model is a copy.)"""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    for module in model.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "_experts_implementation", None):
            config._experts_implementation = DENSE
    ALL_EXPERTS_FUNCTIONS[DENSE] = every_expert
    try:
        yield
    finally:
        del ALL_EXPERTS_FUNCTIONS[DENSE]


def every_expert(experts: Any, tokens: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """``Σ_e share_e · expert_e(tokens)``, where an expert that is not chosen has share 0.

    Args:
        experts: a module with one weight for all experts, and flags that say what it has.
        tokens: (tokens, width).
        chosen: (tokens, k) numbers of experts.
        shares: (tokens, k) what each contributes.
    """

    def layer(x: torch.Tensor, name: str) -> torch.Tensor:  # (experts, tokens, in) -> (experts, tokens, out)
        weight = getattr(experts, name)
        y = x @ (weight if experts.is_transposed else weight.mT)
        return y + getattr(experts, f"{name}_bias")[:, None] if experts.has_bias else y

    wide = layer(tokens[None], "gate_up_proj" if experts.has_gate else "up_proj")
    wide = experts._apply_gate(wide) if experts.has_gate else experts.act_fn(wide)
    narrow = layer(wide, "down_proj")
    if experts.has_post_expert_norm:
        narrow = experts.post_expert_norm(narrow)
    numbers = torch.arange(len(narrow))[:, None, None]  # (experts, 1, 1)
    share = ((chosen == numbers) * shares).sum(-1, keepdim=True)  # (experts, tokens, 1)
    return (share * narrow).sum(0).to(tokens.dtype)
