"""``vmap`` in a forward pass: written out as plain ops, once, and run as those.

Above autograd a tensor under ``vmap`` is one unit of what it stands for, and what is computed with it belongs to no
node of the trace. Below, the batching rules have made it an op over all units. So the call is traced there first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch._C._functorch import peek_interpreter_stack
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, make_fx
from torch.utils import _pytree


@contextmanager
def written_out() -> Iterator[None]:
    """While it is active, ``torch.vmap`` runs what it maps as one graph of plain ops."""
    original = torch.vmap

    def replaced(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        return _written_out(original(*args, **kwargs))

    torch.vmap = torch.func.vmap = replaced
    try:
        yield
    finally:
        torch.vmap = torch.func.vmap = original


def _written_out(mapped: Callable[..., Any]) -> Callable[..., Any]:
    """``mapped`` as its graph; inside of another transform, as it is: the outermost is written out, with all it calls.

    What the function reads without being given it (the padding mask, in a mask function) the graph holds: the very
    tensors, so that whoever traces the call knows them.
    """

    @wraps(mapped)
    def call(*args: Any, **kwargs: Any) -> Any:
        if peek_interpreter_stack() is not None:
            return mapped(*args, **kwargs)
        leaves, form = _pytree.tree_flatten((args, kwargs))
        places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        forms: list[Any] = []

        def run(*tensors: torch.Tensor) -> list[Any]:
            given = list(leaves)
            for place, tensor in zip(places, tensors):
                given[place] = tensor
            own_args, own_kwargs = _pytree.tree_unflatten(given, form)
            results, result_form = _pytree.tree_flatten(mapped(*own_args, **own_kwargs))
            forms.append(result_form)
            return results

        tensors = [leaves[k] for k in places]
        with disable_proxy_modes_tracing():
            graph = make_fx(run)(*tensors)
        return _pytree.tree_unflatten(graph(*tensors), forms[0])

    return call
