"""A model and inputs -> its scalar computation graph: parameters are symbols, their values are never read."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.distributions import Distribution
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

# Registers what they unroll.
from graphmerge.certify import (  # noqa: F401
    contraction,
    elementwise,
    formulas,
    labels,
    linear_maps,
    movement,
    places,
    windows,
)
from graphmerge.certify.errors import CertifyError
from graphmerge.certify.experts import dense
from graphmerge.certify.nodes import LIMIT, Nodes
from graphmerge.certify.scalars import Scalars, tensor_of

FRESH: Final = (*movement.FACTORIES, "clone", "empty", "full", "index_select", "ones", "repeat", "zeros")


@dataclass(frozen=True)
class Unrolled:
    """The nodes, which of them are the outputs (by place), and the parameters, entry by entry.

    ``entries`` says which tensors each parameter entry belongs to; ``tensors`` has the entries of each in its shape.
    """

    nodes: Nodes
    outputs: Mapping[int, tuple[int, ...]]
    entries: Mapping[int, tuple[str, ...]]
    tensors: Mapping[str, torch.Tensor]


def unroll(
    model: torch.nn.Module,
    example_inputs: Any,
    outputs: tuple[str, ...] | None,
    tell_slices: bool,
    limit: int = LIMIT,
) -> Unrolled:
    """Run the model once on symbols, in eval mode, without a cache.

    Raises:
        CertifyError: an op that cannot be unrolled, more than ``limit`` nodes, or a model that does not run on symbols.
    """
    nodes = Nodes(tell_slices, limit)
    nodes.require(sum(p.numel() for p in model.parameters()))
    model = copy.deepcopy(model, {id(p): p for p in model.parameters()}).eval()  # a copy of storages would part views
    symbols = _symbols(nodes, model)
    tensors = {name: tensor.ids.clone() for name, tensor in symbols.items()}
    args, kwargs = _inputs(nodes, example_inputs)
    with torch.no_grad(), _plain(model), dense(model), _Hot(), _Writable(nodes):
        try:
            returned = torch.func.functional_call(model, dict(symbols), args, kwargs, tie_weights=False)
        except CertifyError:
            raise
        except Exception as error:
            raise CertifyError(f"the model does not run on symbols: {_first_line(error)}") from error
    found: dict[int, tuple[int, ...]] = {}
    place = 0
    for tensor in _chosen(returned, outputs):
        for node in tensor.entries().flatten().tolist() if isinstance(tensor, Scalars) else ():
            found[node] = (*found.get(node, ()), place)
            place += 1
    if not found.keys() - nodes.values.keys():
        raise CertifyError("no output depends on a parameter; name the outputs with outputs=(...)")
    entries: dict[int, tuple[str, ...]] = {}
    for name, ids in tensors.items():
        for node in ids.flatten().tolist():
            entries[node] = (*entries.get(node, ()), name)
    return Unrolled(nodes, found, entries, tensors)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _symbols(nodes: Nodes, model: torch.nn.Module) -> dict[str, Scalars]:
    """Every parameter and moving buffer as symbols; of buffers what they hold is known, if code asks for it.

    A symbol is a place in a storage (which is called after the first tensor in it), so shared entries are one.
    """
    symbols: dict[str, Scalars] = {}
    storages: dict[int, str] = {}
    for name, tensor in _moving(model):
        storage = tensor.untyped_storage()
        first = storages.setdefault(storage._cdata, name)
        size = storage.nbytes() // tensor.element_size()
        numbers = torch.arange(size).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        ids = [nodes.symbol((first, n)) for n in numbers.flatten().tolist()]
        symbols[name] = tensor_of(nodes, ids, tensor)
        if not isinstance(tensor, torch.nn.Parameter) and not tensor.is_meta:
            nodes.decide(torch.tensor(ids, dtype=torch.int64), tensor.flatten().tolist())
    return symbols


def _moving(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Under all their names: parameters, and the buffers that training updates.

    These are running statistics, and what is saved with all its entries alike, which says nothing yet.
    """
    yield from model.named_parameters(remove_duplicate=False)
    for path, module in model.named_modules(remove_duplicate=False):
        counts = any(name.startswith("num_batches") for name, _ in module.named_buffers(recurse=False))
        for name, buffer in module.named_buffers(recurse=False):
            saved = buffer.is_floating_point() and name not in module._non_persistent_buffers_set
            if saved and (counts or _is_alike(buffer)):
                yield (f"{path}.{name}" if path else name), buffer


def _is_alike(buffer: torch.Tensor) -> bool:
    """Has it entries, all of one finite value?"""
    if buffer.is_meta or buffer.numel() == 0:
        return False
    return bool((buffer == buffer.flatten()[0]).all()) and bool(buffer.isfinite().all())


def _inputs(nodes: Nodes, example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Whole numbers as they are; every entry of a floating input as a symbol of its own, that knows what is given."""
    if isinstance(example, Mapping):
        args, kwargs = (), dict(example)
    elif isinstance(example, (tuple, list)):
        args, kwargs = tuple(example), {}
    else:
        args, kwargs = (example,), {}

    def given(path: Any, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return value
        ids = [nodes.symbol(("input", _pytree.keystr(path), n)) for n in range(value.numel())]
        nodes.decide(torch.tensor(ids, dtype=torch.int64), value.flatten().tolist())
        return tensor_of(nodes, ids, value)

    return _pytree.tree_map_with_path(given, (args, kwargs))


class _Writable(TorchDispatchMode):
    """Fresh tensors (of numbers or truth values) are nodes from the start, so that activations can be written there."""

    def __init__(self, nodes: Nodes) -> None:
        super().__init__()
        self.nodes = nodes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name in FRESH and not isinstance(made, Scalars) and (made.is_floating_point() or made.dtype == torch.bool):
            return Scalars(self.nodes, self.nodes.constants(made), made.dtype)
        return made


class _Hot(TorchFunctionMode):
    """``one_hot`` of nodes as a comparison (torch's own asks for the largest number); no lists of values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.tolist and isinstance(args[0], Scalars):
            known = args[0].decided()
            return movement.route("tolist") if known is None else known.tolist()
        if func is torch.nn.functional.one_hot and isinstance(args[0], Scalars):
            units = args[1] if len(args) > 1 else kwargs["num_classes"]
            return (args[0].unsqueeze(-1) == torch.arange(units)).long()
        return func(*args, **kwargs)


@contextmanager
def _plain(model: torch.nn.Module) -> Iterator[None]:
    """No generation cache, no fused path of torch's own Transformer and recurrent layers. (The model is a copy.)

    Distributions do not check their arguments either: what is computed is the same, or nothing at all.
    """
    for module in model.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "use_cache", False) is True:
            config.use_cache = False
    fast = torch.backends.mha.get_fastpath_enabled()
    fused = torch._C._get_mkldnn_enabled()
    checks = Distribution._validate_args
    torch.backends.mha.set_fastpath_enabled(False)
    Distribution.set_default_validate_args(False)
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._set_mkldnn_enabled(fused)
        Distribution.set_default_validate_args(checks)


def _chosen(returned: Any, names: tuple[str, ...] | None) -> list[torch.Tensor]:
    """The tensors under these names (``a`` is all of a, ``a.0`` its first); without names, all."""
    flat = dict(_named("", returned))
    under = {name: [full for full in flat if full == name or full.startswith(f"{name}.")] for name in names or ()}
    missing = [name for name, found in under.items() if not found]
    if names is None or (missing and not isinstance(returned, Mapping)):
        return list(flat.values())
    if missing:
        raise CertifyError(f"no output {missing[0]!r}; the model returns {', '.join(flat)}")
    return [flat[full] for found in under.values() for full in found]


def _named(name: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    )
    if isinstance(value, torch.Tensor):
        yield name or "output", value
    for key, item in items:
        yield from _named(f"{name}.{key}" if name else str(key), item)
