"""Sums, means, softmax and norms: what they reduce to on the way is a virtual term."""

from __future__ import annotations

from graphmerge.algebra import Equation
from graphmerge.algebra.equation import AxisExpr
from graphmerge.rules.elementwise import aligned
from graphmerge.rules.labels import rows_of
from graphmerge.rules.registry import Call, NotCovered, Ref, axis_letters, normal_dims, rule


@rule(
    *(
        f"aten.{n}"
        for n in (
            "_is_all_true",
            "_is_any_true",
            "all",
            "amax",
            "amin",
            "aminmax",
            "any",
            "count_nonzero",
            "logsumexp",
            "max",
            "mean",
            "median",
            "min",
        )
    ),
    *(f"aten.{n}" for n in ("nanmean", "nanmedian", "nansum", "prod", "std", "std_mean", "sum", "var", "var_mean")),
    kind="reduction",
)
def reduce(call: Call) -> list[Equation]:
    """``... k -> ...``; a second output that holds indices labels units of k."""
    if len(call.tensors) == 2:  # maximum of two tensors, spelled max
        return [aligned(call, call.tensors)]
    x = call.tensors[0]
    dims = call.arg(1, "dim")
    if isinstance(dims, bool):  # var(x, unbiased)
        dims = None
    names_units = call.node.op.split(".")[1] in ("max", "median", "min", "nanmedian") and len(call.node.outputs) > 1
    return _reduced(call, x, normal_dims(dims, len(x.shape)), indices=names_units)


@rule("aten.norm", "aten.linalg_vector_norm", kind="reduction")
def norm(call: Call) -> list[Equation]:
    """``... k -> ...``."""
    x = call.tensors[0]
    return _reduced(call, x, normal_dims(call.arg(2, "dim"), len(x.shape)), indices=False)


@rule("aten.argmax", "aten.argmin", kind="reduction")
def arg(call: Call) -> list[Equation]:
    """The result names units of k: labels."""
    x = call.tensors[0]
    return _reduced(call, x, normal_dims(call.arg(1, "dim"), len(x.shape)), indices=True)


@rule("aten.kthvalue", "aten.mode", kind="reduction")
def chosen(call: Call) -> list[Equation]:
    """One unit of k, by its value, and its index: a label."""
    x = call.tensors[0]
    position = 2 if call.node.op.startswith("aten.kthvalue") else 1
    return _reduced(call, x, normal_dims(call.arg(position, "dim", -1), len(x.shape)), indices=True)


def _reduced(call: Call, x: Ref, dims: tuple[int, ...], indices: bool) -> list[Equation]:
    letters = axis_letters(len(x.shape))
    sizes = dict(zip(letters, x.shape))
    kept = [c for d, c in enumerate(letters) if d not in dims]
    terms: list[tuple[Ref, list[AxisExpr]]] = [(x, [(c,) for c in letters])]
    for out in call.node.outputs:
        whole = len(out.shape) == len(letters)
        if not whole and len(out.shape) != len(kept):
            raise NotCovered(f"shape {out.shape} after reducing {dims} of {x.shape}")
        terms.append(
            (out, [() if d in dims else (c,) for d, c in enumerate(letters)] if whole else [(c,) for c in kept])
        )
    if indices and len(dims) == 1 and x.shape[dims[0]] > 1:
        ref, axes = terms[-1]
        terms.append((rows_of(ref, x.shape[dims[0]]), [*axes, (letters[dims[0]],)]))
        indices = False
    return [call.terms(terms, sizes, pins=[letters[d] for d in dims] if indices else [])]


@rule("aten.softmax", "aten._softmax", "aten.log_softmax", "aten._log_softmax", "aten._safe_softmax", kind="softmax")
def softmax(call: Call) -> list[Equation]:
    """``... k -> ... k | ...``: the denominator has no k, so nothing else is over k."""
    return [_along(call, call.tensors[0], normal_dims(call.arg(1, "dim"), len(call.out.shape)), [])]


@rule("aten.layer_norm", "aten.native_layer_norm", "aten.rms_norm", "aten._fused_rms_norm", kind="normalisation")
def layer_norm(call: Call) -> list[Equation]:
    """``... k, k, k -> ... k | ...`` with k the normalised axes."""
    shape = call.arg(1, "normalized_shape")
    dims = tuple(range(len(call.out.shape) - len(shape), len(call.out.shape)))
    x, *gains = call.tensors
    return [_along(call, x, dims, gains)]


def _along(call: Call, x: Ref, dims: tuple[int, ...], gains: list[Ref]) -> Equation:
    letters = axis_letters(len(x.shape))
    axes: list[AxisExpr] = [(c,) for c in letters]
    kept = [c for d, c in enumerate(letters) if d not in dims]
    terms: list[tuple[Ref, list[AxisExpr]]] = [(x, axes), (call.out, axes)]
    for gain in gains:
        terms.append((gain, [axes[d] for d in dims]))
    for extra in call.node.outputs[1:]:  # mean and inverse deviation
        if extra.shape:
            terms.append((extra, [() if d in dims else (c,) for d, c in enumerate(letters)]))
    return call.terms(terms, dict(zip(letters, x.shape)), virtual=[kept])


@rule("aten.batch_norm", "aten._native_batch_norm_legit_no_training", kind="normalisation")
def batch_norm(call: Call) -> list[Equation]:
    """In eval mode ``b c ..., c, c, c, c -> b c ...``; statistics of the batch itself are a virtual term ``c``."""
    x, *stats = call.tensors
    letters = axis_letters(len(x.shape))
    axes = [(c,) for c in letters]
    terms = [(x, axes), (call.out, axes), *((s, [("x1",)]) for s in stats)]
    own = call.node.op.startswith("aten.batch_norm") and call.arg(5, "training")
    return [call.terms(terms, dict(zip(letters, x.shape)), virtual=[["x1"]] if own else [])]


@rule("aten.group_norm", kind="normalisation")
def group_norm(call: Call) -> list[Equation]:
    """``b (g c) x, (g c), (g c) -> b (g c) x | b g``."""
    x, *gains = call.tensors
    groups = call.arg(1, "num_groups")
    letters = axis_letters(len(x.shape))
    sizes = dict(zip(letters, x.shape)) | {"g": groups, "c": x.shape[1] // groups}
    axes = [("x0",), ("g", "c"), *((c,) for c in letters[2:])]
    virtual = ["x0", "g"] if groups > 1 else ["x0"]
    return [call.terms([(x, axes), (call.out, axes), *((w, [("g", "c")]) for w in gains)], sizes, virtual=[virtual])]


@rule("aten.topk", "aten.sort", "aten.argsort", kind="selection")
def ranked(call: Call) -> list[Equation]:
    """``... e -> ... k!``: values in order of size, and what labels units of e."""
    x = call.tensors[0]
    letters = axis_letters(len(x.shape))
    dim = _ranked_dim(call) % len(letters)
    sizes = dict(zip(letters, x.shape)) | {"k": call.out.shape[dim]}
    axes: list[AxisExpr] = [(c,) for c in letters]
    kept = [c for d, c in enumerate(letters) if d != dim]
    ranks: list[AxisExpr] = [("k",) if d == dim else (c,) for d, c in enumerate(letters)]
    terms = [(x, axes), *((out, ranks) for out in call.node.outputs)]
    if x.shape[dim] > 1:
        terms.append((rows_of(call.node.outputs[-1], x.shape[dim]), [*ranks, (letters[dim],)]))
    return [call.terms(terms, sizes, pins=["k"], virtual=[kept])]


def _ranked_dim(call: Call) -> int:
    """The axis that is ranked: after k for topk, after ``stable`` where that is given."""
    name, _, overload = call.node.op.removeprefix("aten.").partition(".")
    position = 2 if name == "topk" or overload.startswith("stable") else 1
    dim = call.arg(position, "dim", -1)
    return dim if isinstance(dim, int) and not isinstance(dim, bool) else -1
