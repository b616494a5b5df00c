"""What a model is told while it is traced: no cache, every expert on every token, no fused layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from graphmerge.trace.transforms import written_out

DENSE = "graphmerge_dense"  # name of `dense_experts` among the implementations that a config can choose


@contextmanager
def traceable(model: torch.nn.Module) -> Iterator[None]:
    """Generation caches are outputs that nobody asked for, and experts that see only the tokens routed to them make
    shapes depend on data: switch both off where a config has the switch. torch's own Transformer layers run op by op,
    not as one kernel, and ``vmap`` as the ops that it comes to.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    configs = {id(c): c for m in model.modules() if (c := getattr(m, "config", None)) is not None}
    changed: list[tuple[Any, str, Any]] = []
    for config in configs.values():
        for name, value in (("use_cache", False), ("_experts_implementation", DENSE)):
            if getattr(config, name, None):
                changed.append((config, name, getattr(config, name)))
                setattr(config, name, value)
    ALL_EXPERTS_FUNCTIONS[DENSE] = dense_experts
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with written_out():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        del ALL_EXPERTS_FUNCTIONS[DENSE]
        for config, name, value in reversed(changed):
            setattr(config, name, value)


def dense_experts(experts: Any, hidden: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The same function as any other implementation of stacked experts, without a shape that depends on data.

    Args:
        experts: a module with stacked weights, and flags that say how they lie.
        hidden: (tokens, width).
        chosen: (tokens, k) the experts that each token is routed to.
        shares: (tokens, k) what each of them contributes.
    """
    first = experts.gate_up_proj if experts.has_gate else experts.up_proj
    first_bias = (experts.gate_up_proj_bias if experts.has_gate else experts.up_proj_bias) if experts.has_bias else None
    last_bias = experts.down_proj_bias if experts.has_bias else None
    rows = "eio" if experts.is_transposed else "eoi"
    share = shares.new_zeros(len(hidden), len(first)).scatter_add(1, chosen, shares)  # (tokens, experts)
    wide = torch.einsum(f"ti,{rows}->teo", hidden.to(first.dtype), first)  # (tokens, experts, units)
    wide = wide if first_bias is None else wide + first_bias
    wide = experts._apply_gate(wide) if experts.has_gate else experts.act_fn(wide)
    narrow = torch.einsum(f"tei,{rows}->teo", wide, experts.down_proj)  # (tokens, experts, width)
    narrow = narrow if last_bias is None else narrow + last_bias
    narrow = experts.post_expert_norm(narrow) if experts.has_post_expert_norm else narrow
    return (narrow * share[..., None]).sum(1).to(hidden.dtype)
